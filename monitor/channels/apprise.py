"""Notifications through apprise: one URL for each of its 100 and more services."""

import logging
import re
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, SecretStr

from db.errors import DeliveryFailed, InputError
from jobs.channel import Channel, Message
from jobs.letter import CHART
from monitor.channels.apprise_faults import Entry, failure, text_taken
from monitor.channels.lines import shorten
from monitor.channels.quiet import quiet
from monitor.plugins import ChannelKind, RegisterChannel, hookimpl

if TYPE_CHECKING:
    import apprise

LONGEST = 60.0  # seconds for one message: some services wait between two requests
KEY_HEADER = "X-Sentimon-Key"
_SHOWN = re.compile('<img src="cid:[^>]*>')
MARKUP = 40  # characters that a title can cost where it is put into the text

log = logging.getLogger(__name__)


class AppriseOptions(BaseModel):
    """The service's apprise URL, which holds its secrets."""

    model_config = ConfigDict(extra="forbid")

    url: SecretStr


class AppriseChannel:
    """Sends to one apprise URL."""

    def __init__(self, url: str, longest: float = LONGEST) -> None:
        import apprise

        asset = apprise.AppriseAsset(
            app_id="sentimon", app_desc="sentimon", image_url_mask="", image_url_logo="", async_mode=False
        )
        self._apprise = apprise.Apprise(asset=asset)
        with quiet():
            taken = self._apprise.add(url)
        if not taken:
            raise InputError("url: not an apprise URL; see the list of services in the documentation of apprise")
        if len(self._apprise.services) != 1:
            raise InputError("url: more than one address; give each a [[channels]] entry of its own")
        service: Any = self._apprise[0]
        self._service = service
        self._url, self._longest = url, longest
        # Services that send headers of the user's own have a place for the key.
        self._headers = dict(service.headers) if "headers" in service.template_kwargs else None
        self._inline = hasattr(service, "inline")
        if self._inline:
            service.inline = True  # an e-mail shows the pictures where the HTML has them
        self.pictures = bool(service.attachment_support)
        self._one_at_a_time = threading.Lock()

    def send(self, message: Message) -> None:
        """Send the message: HTML with all its pictures where the service shows it, else plain text with the chart.

        Raises DeliveryFailed: permanent where the service refuses address or credentials, as far as apprise tells.
        """
        import apprise

        pictures = {} if message.image is None else {CHART: message.image}
        what: dict[str, Any] = {
            "notify_type": apprise.NotifyType.FAILURE if message.urgent else apprise.NotifyType.WARNING
        }
        if message.html is not None and self._shows_html():
            title = shorten(_writable(message.title), self._service.title_maxlen)
            what |= {"title": title, "body": _writable(message.html), "body_format": apprise.NotifyFormat.HTML}
            pictures |= message.pictures
            if not self._inline:  # it shows what is attached beside the document
                what["body"] = _SHOWN.sub("", what["body"])
        else:
            what |= fitted(self._service, _writable(message.title), _writable(message.body))
        if pictures and self._service.attachment_support:
            from apprise.attachment.memory import AttachMemory

            what["attach"] = [
                AttachMemory(content=png, name=name, mimetype="image/png")  # type: ignore[no-untyped-call]
                for name, png in pictures.items()
            ]
        with self._one_at_a_time:
            if self._headers is not None:
                self._service.headers = self._headers | {KEY_HEADER: message.key}
            self._notify(what)

    def _shows_html(self) -> bool:
        """Whether it shows HTML documents: e-mail, and what the URL asks it for. Telegram knows a few tags only."""
        import apprise

        service = self._service
        by_default = service.resolve_format(None) == apprise.NotifyFormat.HTML
        return bool(by_default and service.attachment_support and service.title_maxlen > 0)

    def _notify(self, what: Mapping[str, Any]) -> None:
        logging.getLogger("apprise").setLevel(logging.DEBUG)  # to be heard: it tells why it fails in its log only
        name = str(self._service.service_name)
        answer: Future[apprise.AppriseResult] = Future()
        with quiet() as heard:
            context = copy_context()

        def run() -> None:
            try:
                answer.set_result(context.run(self._apprise.notify, **what))
            except BaseException as error:
                answer.set_exception(error)

        # A server that sends a byte now and then keeps apprise for ever: a thread that nobody waits for longer.
        threading.Thread(target=run, daemon=True).start()
        try:
            result = answer.result(self._longest)
        except TimeoutError as error:
            raise DeliveryFailed(f"{name}: no answer within {self._longest:g} s") from error
        if result:
            return
        entries = [Entry(record.levelname, record.getMessage()) for record in heard if record.name == "apprise"]
        if "attach" in what and len(self._service) <= 1 and text_taken(entries):
            log.warning("%s took the message and refused its chart", name)
            return
        raise failure(name, entries, self._url)


def fitted(service: Any, title: str, body: str) -> dict[str, Any]:
    """Cut title and plain text to what a service takes, whatever its markup adds, and say that it is plain text."""
    import apprise
    from apprise.conversion import convert_between

    text = apprise.NotifyFormat.TEXT
    shown = service.resolve_format(text)

    def size(part: str) -> int:
        converted = convert_between(text, shown, part)  # type: ignore[no-untyped-call]
        return len(service.dialect_convert(converted, shown))

    if service.title_maxlen > 0:
        title = shorten(title, service.title_maxlen)
    most = service.body_maxlen
    if service.title_maxlen <= 0 or service.overflow_amalgamate_title:  # the title is put before the text
        most -= size(title) + MARKUP
    cut = body
    if service.overflow_mode == apprise.OverflowMode.UPSTREAM:  # else the URL says what to do with long texts
        room = most
        while size(cut) > most and room > 0:
            cut = shorten(body, room)
            room = min(room - 1, room * most // max(size(cut), 1))
    return {"title": title, "body": cut, "body_format": text}


def _writable(text: str) -> str:
    """Without halves of surrogate pairs, which cannot be sent."""
    return text.encode("utf-8", "replace").decode("utf-8")


def build(options: AppriseOptions) -> Channel:
    """Make the channel; nothing is sent yet."""
    return AppriseChannel(options.url.get_secret_value())


@hookimpl
def register_channels(register: RegisterChannel) -> None:
    """Offer the channel kind "apprise"."""
    register(ChannelKind("apprise", AppriseOptions, build))
