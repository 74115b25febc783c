"""Requests to S3, signed with the keys of the environment: AWS Signature Version 4, for reading only.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html. Written out here because a library with
threads of its own (obstore's has them) does not survive a fork, and torch's workers are forks.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, urlsplit

_EMPTY: Final = hashlib.sha256(b"").hexdigest()
_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")


def region() -> str:
    """Return the region that requests are signed for."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def url_of(bucket: str, key: str) -> str:
    """Return the URL of an object, or of a bucket if the key is empty: path style with an endpoint of one's own."""
    endpoint = next((os.environ[name].rstrip("/") for name in _ENDPOINTS if os.environ.get(name)), "")
    if not endpoint:
        where = f"https://s3.{region()}.amazonaws.com/{bucket}"
        return (
            f"{where}/{quote(key)}" if "." in bucket else f"https://{bucket}.s3.{region()}.amazonaws.com/{quote(key)}"
        )
    return f"{endpoint}/{bucket}/{quote(key)}"


def signed(url: str, query: Mapping[str, str], now: datetime | None = None) -> dict[str, str]:
    """Return the headers that sign a GET of this URL; none if the environment has no keys, as for a public bucket."""
    key, secret = os.environ.get("AWS_ACCESS_KEY_ID", ""), os.environ.get("AWS_SECRET_ACCESS_KEY", "")
    if not key or not secret:
        return {}
    parts, at = urlsplit(url), (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": parts.netloc, "x-amz-content-sha256": _EMPTY, "x-amz-date": at}
    if token := os.environ.get("AWS_SESSION_TOKEN", ""):
        headers["x-amz-security-token"] = token
    names = ";".join(sorted(headers))
    asked = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(query.items()))
    lines = [f"{name}:{headers[name]}\n" for name in sorted(headers)]
    request = "\n".join(["GET", parts.path or "/", asked, "".join(lines), names, _EMPTY])
    scope = f"{at[:8]}/{region()}/s3/aws4_request"
    told = "\n".join(["AWS4-HMAC-SHA256", at, scope, hashlib.sha256(request.encode()).hexdigest()])
    signature = hmac.new(_key(secret, at[:8]), told.encode(), hashlib.sha256).hexdigest()
    said = f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**headers, "authorization": said}


def _key(secret: str, day: str) -> bytes:
    made = f"AWS4{secret}".encode()
    for part in (day, region(), "s3", "aws4_request"):
        made = hmac.new(made, part.encode(), hashlib.sha256).digest()
    return made
