"""What Datasette is told about the database: names of tables and columns, what nobody sees, and questions ready to ask.

The SQL of the questions lies in metadata.yaml: it is for people who look at it in Datasette, and none of it runs here.
"""

import json
from pathlib import Path

_TEMPLATE = Path(__file__).parent / "metadata.yaml"


def metadata(name: str, *, copy: bool) -> str:
    """Write metadata.yaml for a database that Datasette knows under a name, which is that of its file without its end.

    Of a `copy` that holds nothing secret anybody may ask anything; of the database itself only what is ready to ask.
    """
    text = _TEMPLATE.read_text(encoding="utf-8")
    return text.replace("  DATABASE:\n", f"  {json.dumps(name)}:\n").replace("ALLOW_SQL", "true" if copy else "false")
