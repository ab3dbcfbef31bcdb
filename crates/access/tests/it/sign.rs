//! Signing as clients do, right and wrong.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use s3s::Body;
use s3s_sigv4::{AmzDate, Payload};

pub(crate) const REGION: &str = "us-east-1";
pub(crate) const HOST: &str = "localhost:9000";

/// A request before it is signed.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// Name and value, not yet encoded.
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Draft {
    pub(crate) fn new(method: Method, path: &'static str, query: &[(&str, &str)]) -> Self {
        let query = query
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        Self {
            method,
            path,
            query,
            headers: vec![("host", HOST.into())],
            body: Vec::new(),
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        self.body = body.as_bytes().to_vec();
        self
    }

    /// Sends it as it stands.
    pub(crate) fn build(self) -> Request<Body> {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.query)
            .finish()
            .replace('+', "%20");
        let uri = if query.is_empty() {
            self.path.to_owned()
        } else {
            format!("{}?{query}", self.path)
        };
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        headers.insert("content-length", HeaderValue::from(self.body.len()));
        let mut request = Request::new(Body::from(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = uri.parse().unwrap();
        *request.headers_mut() = headers;
        request
    }

    fn sorted_query(&self) -> Vec<(String, String)> {
        let mut query = self.query.clone();
        query.sort();
        query
    }

    fn header_pairs(&self) -> Vec<(&str, &str)> {
        let mut pairs: Vec<_> = self.headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        pairs.sort_unstable();
        pairs
    }

    /// Signature Version 4 in the `Authorization` header, over all headers that are there by now.
    pub(crate) fn sign_v4(mut self, user: &str, password: &str) -> Self {
        let date = now(0);
        self.headers
            .push(("x-amz-date", date.fmt_iso8601().to_string()));
        if !self
            .headers
            .iter()
            .any(|(name, _)| *name == "x-amz-content-sha256")
        {
            self.headers
                .push(("x-amz-content-sha256", "UNSIGNED-PAYLOAD".into()));
        }
        let streaming = self
            .headers
            .iter()
            .any(|(_, value)| value.starts_with("STREAMING-UNSIGNED"));
        let payload = if streaming {
            Payload::UnsignedMultipleChunksWithTrailer
        } else {
            Payload::Unsigned
        };
        let canonical = s3s_sigv4::create_canonical_request(
            self.method.as_str(),
            self.path,
            &self.sorted_query(),
            self.header_pairs(),
            payload,
        );
        let signature = self.signature_v4(&canonical, &date, password);
        let names: Vec<&str> = self.header_pairs().iter().map(|(name, _)| *name).collect();
        let value = format!(
            "AWS4-HMAC-SHA256 Credential={user}/{}/{REGION}/s3/aws4_request, SignedHeaders={}, Signature={signature}",
            date.fmt_date(),
            names.join(";"),
        );
        self.header("authorization", &value)
    }

    /// A URL signed with Version 4, made `age_s` seconds ago and good for a minute.
    pub(crate) fn presign_v4(mut self, user: &str, password: &str, age_s: i64) -> Self {
        let date = now(age_s);
        let names: Vec<String> = self
            .header_pairs()
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect();
        let scope = format!("{user}/{}/{REGION}/s3/aws4_request", date.fmt_date());
        for (name, value) in [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", &scope),
            ("X-Amz-Date", &date.fmt_iso8601()),
            ("X-Amz-Expires", "60"),
            ("X-Amz-SignedHeaders", &names.join(";")),
        ] {
            self.query.push((name.into(), value.into()));
        }
        let canonical = s3s_sigv4::create_presigned_canonical_request(
            self.method.as_str(),
            self.path,
            &self.sorted_query(),
            self.header_pairs(),
        );
        let signature = self.signature_v4(&canonical, &date, password);
        self.query.push(("X-Amz-Signature".into(), signature));
        self
    }

    fn signature_v4(&self, canonical: &str, date: &AmzDate, password: &str) -> String {
        let string = s3s_sigv4::create_string_to_sign(canonical, date, REGION, "s3");
        s3s_sigv4::calculate_signature(&string, password, date, REGION, "s3")
    }

    /// Signature Version 2 in the `Authorization` header.
    pub(crate) fn sign_v2(mut self, user: &str, password: &str) -> Self {
        self.headers
            .push(("x-amz-date", now(0).fmt_iso8601().to_string()));
        let signature = self.signature_v2(s3s_sigv2::Mode::HeaderAuth, password);
        self.header("authorization", &format!("AWS {user}:{signature}"))
    }

    /// A URL signed with Version 2.
    pub(crate) fn presign_v2(mut self, user: &str, password: &str) -> Self {
        let expires = jiff::Timestamp::now().as_second() + 60;
        self.query.push(("AWSAccessKeyId".into(), user.into()));
        self.query.push(("Expires".into(), expires.to_string()));
        let signature = self.signature_v2(s3s_sigv2::Mode::PresignedUrl, password);
        self.query.push(("Signature".into(), signature));
        self
    }

    fn signature_v2(&self, mode: s3s_sigv2::Mode, password: &str) -> String {
        let string = s3s_sigv2::create_string_to_sign(
            mode,
            self.method.as_str(),
            self.path,
            Some(&self.sorted_query()),
            &self.header_pairs(),
            None,
        );
        s3s_sigv2::calculate_signature(password, &string)
    }
}

pub(crate) fn now(age_s: i64) -> AmzDate {
    let at = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second() - age_s).unwrap();
    AmzDate::parse(&at.strftime("%Y%m%dT%H%M%SZ").to_string()).unwrap()
}
