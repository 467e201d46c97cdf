"""The console: pages for people, under ``/console/``.

    browser ─▶ app ─▶ Visit(session, calls) ─▶ page ─▶ Calls ─▶ the request pipeline of the API, as the session's principal
                │                                │
                │                                └─▶ templates ─▶ HTML
                └─▶ bridge: /console/api/… ─▶ the same pipeline, streamed

The console is a client of the API inside the API process. What a page shows or does is an API operation: the same policies
decide, the same checks are made, and the same audit trail records it. `sessions` keeps who is signed in; `pages` has a module
for each part of the navigation.
"""
