"""Token authorizer: from a bearer token to its role, bounded in time, outside the event loop.

token ─▶ read, times ─▶ recent grants ─┬─▶ authorizer of the data store ─▶ role ─┬─▶ Grant
                                       └─▶ issuer of the settings ─▶ claims ─────┘
                                           both in threads, a bounded number of them
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, TypeVar

from hounsfield.oidc.errors import (
    AuthorizerForeignError,
    AuthorizerMisconfiguredError,
    AuthorizerTimeoutError,
    DeniedTokenError,
    TooManyAuthorizationsError,
)
from hounsfield.oidc.fetch import Fetcher
from hounsfield.oidc.grant_cache import Grant, GrantCache
from hounsfield.oidc.http_authorizer import (
    MOST_BYTES,
    SECONDS,
    Authorizer,
    AuthorizerRequest,
    HttpAuthorizer,
    parse_answer,
)
from hounsfield.oidc.issuer import Issuer
from hounsfield.oidc.lambda_authorizer import LambdaAuthorizer, LambdaClient
from hounsfield.oidc.lifetimes import check_lifetime
from hounsfield.oidc.role_mapping import map_role
from hounsfield.oidc.session_names import make_session_name
from hounsfield.oidc.token import Token, read_token
from hounsfield.settings.authorizer_urls import FUNCTION_ARN
from hounsfield.settings.claim_roles import ROLE_ARN, ClaimRole

_T = TypeVar("_T")
_ISSUER_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """Where data stores are; authorizers and their roles must be there too.

    Attributes
    ----------
    partition, region, account_id : str
        As in ARNs.
    """

    partition: str
    region: str
    account_id: str


@dataclass(frozen=True, slots=True)
class Authorizers:
    """Finds the authorizer with an ARN.

    Attributes
    ----------
    account : ServiceAccount
        Where they must be.
    urls : Mapping of str to str
        URL of each function that is an HTTP endpoint.
    client : LambdaClient or None
        Calls all others; None where there are no others.
    fetcher : Fetcher
        Sends requests to the URLs.
    """

    account: ServiceAccount
    urls: Mapping[str, str]
    client: LambdaClient | None
    fetcher: Fetcher = field(default_factory=lambda: Fetcher(SECONDS, MOST_BYTES, 16), repr=False)

    def find(self, arn: str) -> Authorizer:
        """Return the authorizer with an ARN.

        Raises
        ------
        AuthorizerForeignError
            It is in another account or Region.
        AuthorizerMisconfiguredError
            It is not the ARN of a function, or nothing is set for it.
        """
        form = FUNCTION_ARN.fullmatch(arn)
        if form is None:
            raise AuthorizerMisconfiguredError("the ARN of the authorizer is not that of a function")
        if ServiceAccount(form["partition"], form["region"], form["account_id"]) != self.account:
            raise AuthorizerForeignError("the authorizer is in another account or Region")
        if arn in self.urls:
            return HttpAuthorizer(self.urls[arn], self.fetcher)
        if self.client is None:
            raise AuthorizerMisconfiguredError("no URL is set for the authorizer, nor a Lambda endpoint")
        return LambdaAuthorizer(arn, self.client)


class TokenAuthorizer:
    """Finds what tokens stand for; for use in one event loop.

    Parameters
    ----------
    authorizers : Authorizers
        Those of data stores.
    issuer : Issuer or None
        The issuer of the settings.
    roles : tuple of ClaimRole
        What its claims mean.
    recent : GrantCache
        Grants that are kept.
    calls : int
        Authorizers asked at the same time.
    leeway_seconds : float
        By how much clocks may differ.
    """

    def __init__(
        self,
        authorizers: Authorizers,
        issuer: Issuer | None,
        roles: tuple[ClaimRole, ...],
        recent: GrantCache,
        calls: int,
        leeway_seconds: float,
    ) -> None:
        self._authorizers = authorizers
        self._issuer = issuer
        self._roles = roles
        self._recent = recent
        self._leeway = leeway_seconds
        self._threads = ThreadPoolExecutor(calls, thread_name_prefix="authorizer")
        self._free = asyncio.Semaphore(calls)

    @property
    def has_issuer(self) -> bool:
        """Whether tokens of an issuer are taken where a data store has no authorizer."""
        return self._issuer is not None

    async def grant_by_authorizer(self, arn: str, request: AuthorizerRequest) -> Grant:
        """Let the authorizer of a data store say what a token stands for.

        Parameters
        ----------
        arn : str
            ARN of the authorizer.
        request : AuthorizerRequest
            The token, and what it is used for.

        Raises
        ------
        BearerError
            Of the kind that says what is wrong.
        """
        token = self._read(request.token)
        authorizer = self._authorizers.find(arn)

        def ask() -> str:
            return parse_answer(authorizer.ask(request.event()))

        async def seek() -> Grant:
            role_arn = await self._in_a_thread(ask, SECONDS)
            return Grant(self._check_role_account(role_arn), make_session_name(token), arn)

        return await self._recent.find((arn, request.datastore_id, request.operation, token.digest), seek)

    async def grant_by_issuer(self, text: str) -> Grant:
        """Check a token of the issuer of the settings, and say what it stands for; raises as `grant_by_authorizer` does."""
        token, issuer = self._read(text), self._issuer
        if issuer is None:
            raise DeniedTokenError("no issuer is set")

        def vouch() -> str:
            role_arn = map_role(issuer.vouch(token).claims, self._roles)
            if role_arn is None:
                raise DeniedTokenError("no claim of it stands for a role")
            return role_arn

        async def seek() -> Grant:
            role_arn = await self._in_a_thread(vouch, _ISSUER_SECONDS)
            return Grant(self._check_role_account(role_arn), make_session_name(token), issuer.url)

        return await self._recent.find((issuer.url, token.digest), seek)

    def close(self) -> None:
        """Let go of the threads; each ends with what it waits for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _read(self, text: str) -> Token:
        token = read_token(text)
        check_lifetime(token.claims, time.time(), self._leeway)
        return token

    def _check_role_account(self, role_arn: str) -> str:
        form = ROLE_ARN.fullmatch(role_arn)
        if form is None:
            raise AuthorizerMisconfiguredError("roleArn is not the ARN of a role")
        account = self._authorizers.account
        if (form["partition"], form["account_id"]) != (account.partition, account.account_id):
            raise AuthorizerForeignError("the role is in another account")
        return role_arn

    async def _in_a_thread(self, call: Callable[[], _T], seconds: float) -> _T:
        """Run a call that waits; its thread counts for as long as it runs, also when nobody waits for it any more."""
        try:
            async with asyncio.timeout(SECONDS):
                await self._free.acquire()
        except TimeoutError:
            raise TooManyAuthorizationsError("no thread became free in time") from None
        running = asyncio.get_running_loop().run_in_executor(self._threads, call)
        running.add_done_callback(self._ended)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(running)
        except TimeoutError:
            raise AuthorizerTimeoutError(f"no answer within {seconds:g} s") from None

    def _ended(self, running: asyncio.Future[_T]) -> None:
        self._free.release()
        if not running.cancelled():
            running.exception()
