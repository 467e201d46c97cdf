"""Bearer tokens (OpenID Connect): what they say, who vouches for them, and which role they stand for.

    token ─▶ tokens ─▶ lifetimes ─┬─▶ authorizing: the authorizer of the data store ─┬─▶ role, name of the session
                                  └─▶ issuers: keys of the issuer ─▶ claim_roles ────┘

What a token proves is decided here; the role's policies then decide what may be done with it.
"""
