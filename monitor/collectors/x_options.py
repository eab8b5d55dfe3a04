"""The options of a source of kind "x"."""

import re
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, SecretStr, field_validator, model_validator

from monitor.collectors.addresses import secret_address

Price = Annotated[Decimal, Field(ge=0)]


class XOptions(BaseModel, extra="forbid", hide_input_in_errors=True):
    """What a [[sources]] entry of this kind can say. Prices are X's of August 2026."""

    bearer_token: SecretStr
    api_url: Annotated[str, AfterValidator(secret_address)] = "https://api.twitter.com"
    monthly_budget: Decimal | None = Field(None, ge=0)
    price_per_post: Price = Decimal("0.005")
    price_per_owned_post: Price = Decimal("0.001")  # a post of an own account's timeline of mentions
    price_per_user: Price = Decimal("0.010")
    price_per_count: Price = Decimal("0.005")  # a request
    mentions: bool = True  # the timeline of mentions of each own account
    overlap: Annotated[int, Field(ge=0, le=86_400)] = 120  # seconds that are read again: X's index is late
    look_first: bool = False  # count posts before paging through many
    compliance: Literal["lookup", "batch", "off"] = "batch"  # how deleted posts are told
    stream: bool = False  # listen to the filtered stream for a while
    listen: Annotated[float, Field(gt=0, le=300)] = 20  # seconds
    timeout: Annotated[float, Field(gt=0, le=300)] = 15  # seconds
    replies: bool = False  # posts are answered through this source, in the name of the account of these keys
    api_key: SecretStr | None = None
    api_secret: SecretStr | None = None
    access_token: SecretStr | None = None
    access_token_secret: SecretStr | None = None
    price_per_reply: Price = Decimal("0.015")
    price_per_reply_with_link: Price = Decimal("0.20")

    @field_validator("bearer_token")
    @classmethod
    def _one_word(cls, token: SecretStr) -> SecretStr:
        word = token.get_secret_value().strip()
        if not re.fullmatch(r"[!-~]+", word):
            raise ValueError("give the app's bearer token: one word without spaces")
        return SecretStr(word)

    @field_validator("api_key", "api_secret", "access_token", "access_token_secret")
    @classmethod
    def _one_word_each(cls, key: SecretStr | None) -> SecretStr | None:
        word = key.get_secret_value().strip() if key else ""
        if key and not re.fullmatch(r"[!-~]+", word):
            raise ValueError("give the key as X shows it: one word without spaces")
        return SecretStr(word) if key else None

    @model_validator(mode="after")
    def _replies_need_an_account(self) -> Self:
        if self.replies and not all((self.api_key, self.api_secret, self.access_token, self.access_token_secret)):
            raise ValueError(
                "`replies` needs `api_key`, `api_secret`, `access_token` and `access_token_secret` (OAuth 1.0a, with "
                "write permission) from X's developer console"
            )
        return self
