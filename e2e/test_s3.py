"""S3 as clients know it, where it is easily got wrong: errors, forms, copies, checksums, names."""

import uuid

import pytest
import urllib3
from botocore.exceptions import ClientError

from clients import CUSTOMER_KEY


def fails(code, status, call, **kwargs):
    with pytest.raises(ClientError) as caught:
        call(**kwargs)
    error = caught.value.response
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == (code, status), error
    return error


@pytest.fixture
def http(object_server):
    return urllib3.PoolManager(ca_certs=str(object_server.ca), retries=False)


def test_an_error_names_its_key_and_its_request(s3, bucket):
    error = fails("NoSuchKey", 404, s3.get_object, Bucket=bucket, Key="ä <b>")
    assert error["Error"]["Message"] == "The specified key does not exist."
    assert error["Error"]["Key"] == "ä <b>"
    assert error["ResponseMetadata"]["RequestId"]


@pytest.mark.parametrize("name", ["foo-.bar", "foo.-bar", "foo..bar", "fo", "foo_bar"])
def test_names_that_no_host_can_have_are_refused(s3, name):
    from botocore.handlers import validate_bucket_name

    s3.meta.events.unregister("before-parameter-build.s3", validate_bucket_name)
    fails("InvalidBucketName", 400, s3.create_bucket, Bucket=name)


def test_an_object_without_a_checksum_gets_one_and_its_copy_has_it(s3, bucket, http):
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "k"})
    assert http.request("PUT", url, body=b"hello").status == 200
    for key in ["k", "copy"]:
        shown = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED") if key == "k" else s3.copy_object(
            Bucket=bucket, Key=key, CopySource=f"{bucket}/k")["CopyObjectResult"]
        assert (shown["ChecksumCRC64NVME"], shown["ChecksumType"]) == ("M3eFcAZSQlc=", "FULL_OBJECT")


def test_a_copy_onto_itself_takes_a_customers_key_away(s3, bucket):
    customer = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": CUSTOMER_KEY}
    s3.put_object(Bucket=bucket, Key="k", Body=b"data", **customer)
    s3.copy_object(Bucket=bucket, Key="k", CopySource=f"{bucket}/k",
                   **{"CopySource" + name: value for name, value in customer.items()})
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"data"
    fails("InvalidRequest", 400, s3.copy_object, Bucket=bucket, Key="k", CopySource=f"{bucket}/k")


def test_a_key_with_a_control_character_is_listed(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a\x01", Body=b"")
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["a\x01"]
    plainly = s3.list_objects_v2(Bucket=bucket, EncodingType="")["Contents"]
    assert [o["Key"] for o in plainly] == ["a\ufffd"]


def test_only_private_acls_are_accepted(s3, bucket):
    s3.put_bucket_acl(Bucket=bucket, ACL="private")
    own = s3.get_bucket_acl(Bucket=bucket)
    s3.put_bucket_acl(Bucket=bucket, AccessControlPolicy={"Grants": own["Grants"], "Owner": own["Owner"]})
    fails("NotImplemented", 501, s3.put_bucket_acl, Bucket=bucket, ACL="public-read")


def form(s3, http, bucket, fields, conditions, sent=None):
    post = s3.generate_presigned_post(bucket, "folder/${filename}", Fields=fields,
                                      Conditions=[*conditions, ["starts-with", "$key", "folder/"]])
    return http.request("POST", post["url"], redirect=False,
                        fields={**post["fields"], **(sent or {}), "file": ("ü.txt", b"hello")})


def test_a_form_tells_where_the_object_is_and_how_it_is_encrypted(s3, bucket, http, object_server):
    sse = {"x-amz-server-side-encryption": "AES256"}
    reply = form(s3, http, bucket, sse, [sse])
    assert reply.status == 204, reply.data
    assert reply.headers["location"] == f"{object_server.url}/{bucket}/folder/%C3%BC.txt"
    assert reply.headers["etag"] == s3.head_object(Bucket=bucket, Key="folder/ü.txt")["ETag"]
    assert reply.headers["x-amz-server-side-encryption"] == "AES256"


def test_a_forms_redirect_tells_the_etag_in_quotes(s3, bucket, http):
    to = {"success_action_redirect": "http://example.org/done?n=1"}
    reply = form(s3, http, bucket, to, [to])
    assert reply.status == 303
    etag = s3.head_object(Bucket=bucket, Key="folder/ü.txt")["ETag"].strip('"')
    assert reply.headers["location"] == (
        f"http://example.org/done?n=1&bucket={bucket}&key=folder%2F%C3%BC.txt&etag=%22{etag}%22")


def test_a_form_that_its_policy_does_not_allow_is_denied(s3, bucket, http):
    reply = form(s3, http, bucket, {"acl": "private"}, [{"acl": "private"}], sent={"acl": "public-read"})
    assert reply.status == 403 and b'Policy Condition failed: ["eq", "$acl", "private"]' in reply.data, reply.data


def test_an_upload_that_does_not_say_its_length_is_asked_for_it(s3, bucket, http):
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": uuid.uuid4().hex})
    reply = http.request("PUT", url, body=iter([b"hello"]), chunked=True)
    assert reply.status == 411 and b"MissingContentLength" in reply.data
