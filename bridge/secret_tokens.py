"""Secrets that their issuers gave a shape of their own, mostly a prefix. Pure data.

What ``bridge.secret_kinds`` says about time holds here, too.
"""

from __future__ import annotations

from bridge.secret_checks import mixed, with_digit
from bridge.secret_shapes import Kind, kind_of

TOKENS: tuple[Kind, ...] = (
    kind_of("anthropic_key", "sk-ant-", r"(?P<secret>sk-ant-[\w-]{8,512})"),
    kind_of("openai_key", "sk-", r"(?<![a-z0-9])(?P<secret>sk-[\w-]{16,512})", with_digit),
    kind_of(
        "aws_access_key_id",
        "akia asia abia acca agpa aida aipa anpa anva aroa",
        r"(?<![A-Za-z0-9])(?P<secret>(?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AIPA|ANPA|ANVA|AROA)[A-Z0-9]{16})(?![A-Za-z0-9])",
        case=True,
    ),
    kind_of(
        "aws_secret_key",
        "aws",
        r"aws[^\n]{0,40}?[\"'=: ](?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])",
        mixed,
    ),
    kind_of(
        "github_token",
        "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
        r"(?P<secret>(?:gh[pousr]|github_pat)_\w{16,255})",
        with_digit,
    ),
    kind_of(
        "gitlab_token",
        "glpat- gldt- glrt- glcbt- glptt- glft- glsoat- glagent- glimt- gr1348941",
        r"(?<![a-z0-9])(?P<secret>gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|imt)-[\w.-]{16,255}|GR1348941[\w-]{16,255})",
    ),
    kind_of(
        "slack_token",
        "xox xapp-",
        r"(?<![a-z0-9])(?P<secret>xox[a-z](?:\.xox[a-z])?-[\w-]{8,512}|xapp-[\w-]{8,512})",
    ),
    kind_of(
        "google_key",
        "aiza ya29. gocspx- 1//0",
        r"(?<![\w-])(?P<secret>AIza[\w-]{30,64}|ya29\.[\w-]{16,2048}|GOCSPX-[\w-]{16,64}|1//0[\w-]{20,512})",
        case=True,
    ),
    kind_of(
        "stripe_key",
        "_live_ _test_ whsec_",
        r"(?<![a-z0-9])(?P<secret>(?:[srp]k_(?:live|test)_|whsec_)[A-Za-z0-9]{10,255})",
        with_digit,
    ),
    kind_of("npm_token", "npm_", r"(?<![a-z0-9])(?P<secret>npm_[A-Za-z0-9]{30,64})"),
    kind_of("pypi_token", "pypi-", r"(?<![a-z0-9])(?P<secret>pypi-AgE[\w-]{16,512})"),
    kind_of("sendgrid_key", "sg.", r"(?<![A-Za-z0-9])(?P<secret>SG\.[\w-]{16,64}\.[\w-]{16,128})", case=True),
    kind_of(
        "vendor_token",
        "hvs. hvb. hvr. dop_v1_ doo_v1_ dor_v1_ dckr_pat_ dckr_oat_ glsa_ glc_ hf_ shpat_ shpca_ shppa_ shpss_ dapi lin_api_ ntn_ "
        "gsk_ age-secret-key- .atlasv1. key- tskey- nvapi- r8_ :aa base64: nrak- nral hrku- pmak- pul- rubygems_ sntrys_ sntryu_ "
        "xkeysib- atatt3 dp.pt. dp.st. dp.ct. dp.sa. cfpat- xai- figd_ sbp_ ops_eyj eyjrijoi sq0atp- sq0csp- fo1_",
        r"(?:(?<![A-Za-z0-9])|(?<=/bot))(?P<secret>hv[sbr]\.[\w-]{20,512}|do[opr]_v1_[a-f0-9]{40,64}|dckr_[po]at_[\w-]{16,64}|glsa_\w{24,64}"
        r"|glc_[\w+/=]{24,512}|hf_[A-Za-z0-9]{24,64}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{24,64}|dapi[a-f0-9]{32}|lin_api_[A-Za-z0-9]{24,64}"
        r"|ntn_[A-Za-z0-9]{24,64}|gsk_[A-Za-z0-9]{24,64}|AGE-SECRET-KEY-1[0-9A-Z]{40,64}|[A-Za-z0-9]{14}\.atlasv1\.[\w-]{40,128}"
        r"|key-[0-9a-f]{32}|tskey-[\w-]{16,128}|nvapi-[\w-]{24,128}|r8_[A-Za-z0-9]{24,64}|[0-9]{8,10}:AA[\w-]{30,40}"
        r"|base64:[A-Za-z0-9+/]{43}=|NRAK-[A-Z0-9]{20,40}|(?:eu01xx)?[0-9a-f]{28,40}NRAL|HRKU-[\w-]{30,80}|PMAK-[0-9a-f]{24}-[0-9a-f]{34}"
        r"|pul-[0-9a-f]{40}|rubygems_[0-9a-f]{48}|sntry[su]_[\w+/=]{24,512}|xkeysib-[0-9a-f]{64}-[A-Za-z0-9]{16}"
        r"|ATATT3[\w=-]{40,512}|dp\.(?:pt|st|ct|sa)\.[\w.]{40,128}|CFPAT-[\w-]{40,64}|xai-[A-Za-z0-9]{40,128}|figd_[\w-]{36,64}"
        r"|sbp_[0-9a-f]{40}|ops_eyJ[\w+/=-]{40,2048}|eyJrIjoi[A-Za-z0-9+/]{40,512}={0,2}|sq0(?:atp|csp)-[\w-]{22,64}|fo1_[\w-]{40,64})(?![A-Za-z0-9])",
        case=True,
    ),
)
"""In the order in which they are looked for."""
