"""Projects and providers: creating them, seeing them, credit in, blocking."""

from typing import Any

from fastapi import APIRouter

from intertie.api.bounds import check_numbers
from intertie.api.contract import problems
from intertie.api.door import Door, Key, TheDoor
from intertie.api.identity import (
    PROJECT,
    PROVIDER,
    Anyone,
    Bearer,
    Operator,
    ProjectOrOperator,
    ProviderOrOperator,
    number_of,
)
from intertie.api.pages import After, Limit, after_number, page
from intertie.api.party_views import project_views, provider_views
from intertie.api.problems import not_found
from intertie.control.bootstrap import make_token
from intertie.control.waiting import Asked
from intertie.model.ids import encode
from intertie.model.parties import Project, Provider
from intertie.store import reading
from intertie.store.appending import has_credential
from intertie.wire.base import Page
from intertie.wire.parties import (
    BlockProject,
    Created,
    CreateProject,
    CreateProvider,
    ProjectView,
    ProviderView,
    TopUp,
)

router = APIRouter(tags=["parties"])


@router.post(
    "/projects",
    status_code=201,
    summary="Open a project with a wallet",
    responses=problems(401, 403, 409, 413, 422, 503),
)
async def create_project(
    door: TheDoor, bearer: Operator, message: CreateProject, key: Key = None
) -> Created:
    """Open a project. Its token is shown this once; a repeated request answers without it."""
    body = {"name": message.name, "weight": message.weight, "trial_micro": message.trial}
    check_numbers({"trial": message.trial})
    asked = await door.ask(PROJECT, 0, body, key)
    return await door.run(_created, door, PROJECT, message.name, asked, ())


@router.get("/projects", summary="List projects", responses=problems(401, 403, 422))
def list_projects(
    door: TheDoor, bearer: ProjectOrOperator, limit: Limit = 100, after: After = None
) -> Page[ProjectView]:
    """All projects for an operator; a project sees itself."""
    with reading.snapshot(door.engine) as connection:
        column = reading.column(Project, "id")
        conditions = [column > (after_number("project", after) or 0)]
        if bearer.role == PROJECT:
            conditions.append(column == bearer.subject)
        found = reading.rows(connection, Project, *conditions, limit=limit + 1)
        views = project_views(connection, found[:limit])
    return page(found, limit, views, lambda project: encode("project", project.id))


@router.get(
    "/projects/{project}",
    summary="See one project and its wallet",
    responses=problems(401, 403, 404, 422),
)
def see_project(door: TheDoor, bearer: ProjectOrOperator, project: str) -> ProjectView:
    """One project: its wallet, what is set aside, what it spent and used."""
    return _project(door, bearer, project)


@router.post(
    "/projects/{project}/top-up",
    status_code=201,
    summary="Put credit into a project's wallet",
    responses=problems(401, 403, 404, 409, 413, 422, 503),
)
async def top_up(
    door: TheDoor, bearer: Operator, project: str, message: TopUp, key: Key = None
) -> ProjectView:
    """Book credit from the network's issuance into the wallet."""
    known = await door.run(_project, door, bearer, project)
    body = {"project": number_of("project", known.id), "amount_micro": message.amount}
    check_numbers({"amount": message.amount})
    await door.ask("top_up", 0, body, key)
    return await door.run(_project, door, bearer, project)


@router.post(
    "/projects/{project}/block",
    status_code=201,
    summary="Block a project, or lift the block",
    responses=problems(401, 403, 404, 409, 413, 422, 503),
)
async def block(
    door: TheDoor, bearer: Operator, project: str, message: BlockProject, key: Key = None
) -> ProjectView:
    """A blocked project gets no new leases; its running ones are stopped with grace."""
    known = await door.run(_project, door, bearer, project)
    body = {"project": number_of("project", known.id), "is_blocked": int(message.is_blocked)}
    await door.ask("block", 0, body, key)
    return await door.run(_project, door, bearer, project)


@router.post(
    "/providers",
    status_code=201,
    summary="Register a provider",
    responses=problems(401, 403, 409, 413, 422, 503),
)
async def create_provider(
    door: TheDoor, bearer: Operator, message: CreateProvider, key: Key = None
) -> Created:
    """Register a provider. Both tokens are shown this once; a repeated request has neither."""
    asked = await door.ask(PROVIDER, 0, {"name": message.name}, key)
    return await door.run(_created, door, PROVIDER, message.name, asked, ("enrol",))


@router.get("/providers", summary="List providers", responses=problems(401, 403, 422))
def list_providers(
    door: TheDoor, bearer: Anyone, limit: Limit = 100, after: After = None
) -> Page[ProviderView]:
    """Every provider with its pools. What it earned is for itself and for operators."""
    with reading.snapshot(door.engine) as connection:
        since = reading.column(Provider, "id") > (after_number("provider", after) or 0)
        found = reading.rows(connection, Provider, since, limit=limit + 1)
        views = provider_views(connection, found[:limit], bearer)
    return page(found, limit, views, lambda provider: encode("provider", provider.id))


@router.get(
    "/providers/{provider}",
    summary="See one provider and its pools",
    responses=problems(401, 403, 404, 422),
)
def see_provider(door: TheDoor, bearer: Anyone, provider: str) -> ProviderView:
    """One provider: its pools, what is lent and used, and what limits are not enforced."""
    with reading.snapshot(door.engine) as connection:
        found = reading.find(connection, Provider, number_of("provider", provider))
        if found is None:
            raise not_found("provider", provider)
        return provider_views(connection, [found], bearer)[0]


@router.post(
    "/providers/{provider}/enrol-tokens",
    status_code=201,
    summary="Make a one-time token for one more agent",
    responses=problems(401, 403, 404, 413, 422),
)
def create_enrol_token(door: TheDoor, bearer: ProviderOrOperator, provider: str) -> Created:
    """Return a new one-time token with which an agent of this provider enrols a pool."""
    number = number_of("provider", provider)
    if bearer.role == PROVIDER and bearer.subject != number:
        raise not_found("provider", provider)
    with reading.snapshot(door.engine) as connection:
        named = reading.document(connection, "provider", number)
    if named is None:
        raise not_found("provider", provider)
    with door.engine.begin() as connection:
        token = make_token(connection, "enrol", number)
    return Created(id=encode("provider", number), name=named.name, enrol_token=token)


def _project(door: Door, bearer: Bearer, project: str) -> ProjectView:
    number = number_of("project", project)
    with reading.snapshot(door.engine) as connection:
        found = reading.find(connection, Project, number)
        if found is None or not bearer.may_see(PROJECT, number):
            raise not_found("project", project)
        return project_views(connection, [found])[0]


def _created(door: Door, role: str, name: str, asked: Asked, once: tuple[str, ...]) -> Created:
    """Return what was created; its tokens are made with the first answer and never again."""
    number: int = asked[1]["values"][role]
    with door.engine.begin() as connection:
        if has_credential(connection, role, number):
            return Created(id=encode(role, number), name=name)
        tokens: dict[str, Any] = {"token": make_token(connection, role, number)}
        tokens |= {f"{each}_token": make_token(connection, each, number) for each in once}
    return Created(id=encode(role, number), name=name, **tokens)
