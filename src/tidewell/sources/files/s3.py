"""Objects of S3, and of whatever speaks like it, as files."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from fnmatch import translate
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from lxml import etree

from tidewell.errors import SourceBroken, SourceRefused
from tidewell.sources.files.signature import SignatureV4
from tidewell.sources.files.spool import Spool
from tidewell.sources.files.store import LocalCopy
from tidewell.sources.files.tables import (
    MOST_FILES,
    FileTable,
    StoredFile,
    all_together,
    by_name,
    each_file,
    is_known,
    one_table,
)
from tidewell.sources.files.version import tag_of
from tidewell.sources.protocol import Environment

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_MAGIC = re.compile(r"[*?\[]")


class S3Store:
    """An object, a folder (a prefix that ends in `/`) or a glob of a bucket.

    Objects are addressed by their keys. In a glob `*` also stands for `/`: keys have no folders.
    """

    def __init__(self, values: Mapping[str, str], environment: Environment) -> None:
        self._bucket, self._key = _bucket_and_key(values["URI"])
        region = values["AWSRegion"]
        self._root = _root(values.get("Endpoint", ""), region, self._bucket)
        self._given = values["Format"]
        key_id, secret = values.get("AWSAccessKey", ""), values.get("AWSSecretKey", "")
        if bool(key_id) != bool(secret):
            raise SourceRefused("Give AWSAccessKey and AWSSecretKey, or neither for public files.")
        session = values.get("AWSSessionToken", "")
        self._sign = SignatureV4(key_id, secret, session, region, "s3") if key_id else None
        self._spool = Spool(values, environment, tag_of)

    def test(self) -> None:
        """The bucket lets us see what the URI names."""
        if not self._names_one():
            self.tables()
        else:
            self._spool.ask(self._url(self._key), self._sign, method="HEAD")

    def table(self, name: str) -> None:
        """A listing is one answer for a thousand files."""

    def tables(self) -> dict[str, FileTable]:
        """The tables by name; a file's table wins over a folder's of the same name."""
        if self._names_one():
            found = next((one for one in self._listed(self._key) if one.address == self._key), None)
            one = found or StoredFile(_name(self._key), self._key)
            return by_name([one_table(one, self._given)])
        magic = _MAGIC.search(self._key)
        if not magic:
            return self._of_folder()
        prefix = self._key[: magic.start()]
        matches = re.compile(translate(self._key)).match
        files = [one for one in self._listed(prefix) if matches(one.address)]
        folder = prefix.rpartition("/")[0].rpartition("/")[2] or self._bucket
        together = all_together(folder, files, self._given)
        return by_name([*each_file(files, self._given), *together])

    def folders(self) -> list[Path]:
        """Where objects are fetched into."""
        return [self._spool.folder]

    def local(self, file: StoredFile) -> LocalCopy:
        """An object, fetched."""
        copy = self._spool.fetch(self._url(file.address), file.name, self._sign)
        return replace(copy, modified=file.modified or copy.modified)

    def version(self, file: StoredFile) -> str | None:
        """The entity tag of the object as it was fetched, else as it was listed. S3's changes with
        the content and with nothing else ("Object", Amazon S3 API Reference)."""
        copy = self._spool.fetched(self._url(file.address))
        return copy.version if copy else file.version

    def cancel(self) -> None:
        """End what is going on."""
        self._spool.cancel()

    def close(self) -> None:
        """Forget what was fetched."""
        self._spool.close()

    def _names_one(self) -> bool:
        return bool(self._key) and not self._key.endswith("/") and not _MAGIC.search(self._key)

    def _of_folder(self) -> dict[str, FileTable]:
        """Each object in a folder, and each folder in it that holds objects."""
        here: list[StoredFile] = []
        inner: dict[str, list[StoredFile]] = {}
        for one in self._listed(self._key):
            folder, slash, rest = one.address[len(self._key) :].partition("/")
            if not slash:
                here.append(one)
            elif "/" not in rest:
                inner.setdefault(folder, []).append(one)
        found = each_file(here, self._given)
        for folder, files in inner.items():
            found += all_together(folder, files, self._given)
        return by_name(found)

    def _listed(self, prefix: str) -> Iterator[StoredFile]:
        """The objects of a known format under a prefix, in the order of their keys
        (ListObjectsV2)."""
        count = 0
        following = ""
        while True:
            query = {"list-type": "2", "prefix": prefix}
            if following:
                query["continuation-token"] = following
            page = _parsed(self._spool.ask(f"{self._root}/?{_encoded(query)}", self._sign))
            for element in page.iterchildren("{*}Contents"):
                key = element.findtext("{*}Key") or ""
                name = _name(key)
                if not name or name.startswith(".") or not is_known(name, self._given):
                    continue
                count += 1
                if count > MOST_FILES:
                    raise SourceRefused(f"URI: there are more than {MOST_FILES} files; name fewer.")
                changed = _moment(element.findtext("{*}LastModified"))
                tag = {"etag": element.findtext("{*}ETag") or ""}
                size = {"content-length": element.findtext("{*}Size") or ""}
                yield StoredFile(name, key, changed, tag_of(tag | size))
            following = page.findtext("{*}NextContinuationToken") or ""
            if page.findtext("{*}IsTruncated") != "true" or not following:
                return

    def _url(self, key: str) -> str:
        return f"{self._root}/{quote(key, safe='/-_.~')}"


def _bucket_and_key(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.partition("://")[2].partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise SourceRefused("URI must name a bucket, as s3://bucket/folder/*.parquet.")
    return bucket, key


def _root(endpoint: str, region: str, bucket: str) -> str:
    """The bucket's address: by its name where AWS takes it, else by path, as every server of the
    kind does."""
    if not _REGION.fullmatch(region):
        raise SourceRefused("AWSRegion must be the name of a region, as eu-central-1.")
    if not endpoint:
        host = f"s3.{region}.amazonaws.com"
        return f"https://{host}/{bucket}" if "." in bucket else f"https://{bucket}.{host}"
    parts = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise SourceRefused("Endpoint must be an address, as https://minio.example.com:9000.")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/{bucket}"


def _encoded(query: Mapping[str, str]) -> str:
    return urlencode(sorted(query.items()), quote_via=quote, safe="-_.~")


def _name(key: str) -> str:
    return key.rsplit("/", 1)[-1]


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _parsed(content: bytes) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise SourceBroken("The store's list of objects is not XML: check Endpoint.") from error
    if etree.QName(root).localname != "ListBucketResult":
        raise SourceBroken("The store answered something else than its list: check Endpoint.")
    return root
