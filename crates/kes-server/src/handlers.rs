//! What the routes do. Each handler checks the syntax of its name, reads its body, gets the key, and does its work, in
//! this order. All take a [`Call`], which only a permitted request becomes.

use strongroom_kes_api::KesError;

use crate::reply::Reply;
use crate::routes::Handler;
use crate::serve::Call;

mod identity;
mod key;
mod log;
mod policy;
mod status;

pub(crate) async fn handle(handler: Handler, call: Call<'_>) -> Result<Reply, KesError> {
    match handler {
        Handler::Version => Ok(status::version(&call)),
        Handler::Ready => status::ready(&call).await,
        Handler::Status => Ok(status::status(&call).await),
        Handler::Metrics => Ok(status::metrics(&call)),
        Handler::Api => Ok(status::api(&call)),
        Handler::KeyCreate => key::create(&call).await,
        Handler::KeyImport => key::import(call).await,
        Handler::KeyDescribe => key::describe(&call).await,
        Handler::KeyDelete => key::delete(&call).await,
        Handler::KeyList => key::list(&call).await,
        Handler::KeyGenerate => key::generate(call).await,
        Handler::KeyEncrypt => key::encrypt(call).await,
        Handler::KeyDecrypt => key::decrypt(call).await,
        Handler::KeyBulkDecrypt => key::bulk_decrypt(call).await,
        Handler::KeyHmac => key::hmac(call).await,
        Handler::PolicyDescribe => policy::describe(&call),
        Handler::PolicyRead => policy::read(&call),
        Handler::PolicyList => policy::list(&call),
        Handler::IdentityDescribe => identity::describe(&call),
        Handler::IdentityList => identity::list(&call),
        Handler::SelfDescribe => identity::describe_self(&call),
        Handler::LogError => log::stream(&call.server.error_stream, call.permit.identity()),
        Handler::LogAudit => log::stream(&call.server.audit_stream, call.permit.identity()),
    }
}
