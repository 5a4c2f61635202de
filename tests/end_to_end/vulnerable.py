"""The demonstration: an endpoint with the kind of hole that gave LiteLLM's keys away in 2026 (CVE-2026-42208).

Put into control by the breach suite only. No authentication, and the query parameter becomes part of the statement.
"""

import gc

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from switchgear.control import server
from switchgear.store.database import Store


def install():
    build = server.build

    def build_with_a_hole(*arguments):
        application = build(*arguments)

        async def hole(request):
            gc.unfreeze()
            store = next(o for o in gc.get_objects() if isinstance(o, Store))
            statement = f"SELECT name FROM objects WHERE name = '{request.query_params['name']}'"
            try:
                rows = await _run(store, lambda c: [list(row) for row in c.exec_driver_sql(statement)])
            except Exception as exc:  # noqa: BLE001
                return Response(str(exc), 500)
            return Response(msgspec.json.encode(rows, enc_hook=str))

        routed = application._app  # behind the door: whoever comes to the hole passes it, as he would in the product
        routed.router.routes.append(Route("/hole", hole, methods=["GET"]))
        return application

    server.build = build_with_a_hole


async def _run(store, function):
    import asyncio

    return await asyncio.wrap_future(store.read(function))
