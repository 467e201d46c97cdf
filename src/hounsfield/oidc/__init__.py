"""Bearer tokens (OpenID Connect): validation, and the role that each stands for.

    token ─▶ token ─▶ lifetimes ─▶ grant_cache ─┬─▶ http_authorizer, lambda_authorizer ─┬─▶ Grant: role, session name
             (parsed)  (checked)    (recent)    └─▶ issuer, jwks ─▶ role_mapping ───────┘

`authorizer` runs it, in threads. A token only says which role; the policies of the role decide what may be done.
"""
