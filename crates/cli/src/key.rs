//! `kes key`.

use anyhow::anyhow;
use clap::{Args, Subcommand};
use strongroom_kes_api::base64;
use strongroom_kes_api::body::{Algorithm, KeyInfo, ToJson as _};
use strongroom_kes_client::{KeyName, ListPattern, Secret};
use zeroize::Zeroizing;

use crate::output::{Colour, date_and_time, label, print_names};
use crate::secret_argument::SecretArgument;
use crate::session::{Connect, Server};
use crate::shell::Shell;

/// Arguments of `kes key`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Create keys.
    Create {
        /// Names of the keys.
        // Before 2022 the second argument was a key to import: a secret.
        names: Vec<SecretArgument>,
        #[command(flatten)]
        common: Common,
    },
    /// Import a key.
    Import {
        /// Name of the new key.
        name: Option<String>,
        /// The key, 32 bytes in base64.
        key: Option<SecretArgument>,
        #[command(flatten)]
        common: Common,
    },
    /// Show information about a key.
    Info {
        /// Name of the key.
        name: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// When to use colours.
        #[arg(long, value_name = "WHEN", default_value = "auto")]
        color: Colour,
        #[command(flatten)]
        common: Common,
    },
    /// List keys.
    #[command(alias = "list")]
    Ls {
        /// Only names that start with it.
        pattern: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// When to use colours.
        #[arg(long, value_name = "WHEN", default_value = "auto")]
        color: Colour,
        #[command(flatten)]
        common: Common,
    },
    /// Delete keys. What is encrypted under them is lost.
    #[command(alias = "delete")]
    Rm(Names),
    /// Encrypt a message.
    Encrypt {
        /// Name of the key.
        name: Option<String>,
        /// The message, as it is.
        message: Option<SecretArgument>,
        #[command(flatten)]
        common: Common,
    },
    /// Decrypt a ciphertext.
    Decrypt {
        /// Name of the key.
        name: Option<String>,
        /// The ciphertext, in base64.
        ciphertext: Option<String>,
        /// The context it was encrypted under, in base64.
        context: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Generate a data key.
    #[command(alias = "derive")]
    Dek {
        /// Name of the key.
        name: Option<String>,
        /// The context to encrypt it under, in base64.
        context: Option<String>,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, Args)]
struct Names {
    /// Names of the keys.
    names: Vec<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    server: Server,
}

impl Common {
    fn client(&self, shell: &Shell<'_>) -> anyhow::Result<strongroom_kes_client::KesClient> {
        self.connect.client(self.server.server.as_deref(), shell)
    }
}

pub(crate) async fn run(args: KeyArgs, shell: &mut Shell<'_>) -> anyhow::Result<()> {
    match args.command {
        KeyCommand::Create { names, common } => create(&names, &common, shell).await,
        KeyCommand::Import { name, key, common } => import(name, key, &common, shell).await,
        KeyCommand::Info {
            name,
            json,
            color: _,
            common,
        } => info(name, json, &common, shell).await,
        KeyCommand::Ls {
            pattern,
            json,
            color,
            common,
        } => ls(pattern, json, color, &common, shell).await,
        KeyCommand::Rm(names) => remove(names, shell).await,
        KeyCommand::Encrypt {
            name,
            message,
            common,
        } => encrypt(name, message, &common, shell).await,
        KeyCommand::Decrypt {
            name,
            ciphertext,
            context,
            common,
        } => decrypt(name, ciphertext, context, &common, shell).await,
        KeyCommand::Dek {
            name,
            context,
            common,
        } => generate(name, context, &common, shell).await,
    }
}

/// An argument that must be there.
fn required<T>(
    argument: Option<T>,
    what: &str,
    command: &str,
    shell: &Shell<'_>,
) -> anyhow::Result<T> {
    argument.ok_or_else(|| anyhow!("no {what} specified. {}", shell.see_help(command)))
}

/// An argument in base64.
fn from_base64(
    text: &str,
    what: &str,
    command: &str,
    shell: &Shell<'_>,
) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    base64::decode(text)
        .map_err(|error| anyhow!("invalid {what}: {error}. {}", shell.see_help(command)))
}

async fn create(
    names: &[SecretArgument],
    common: &Common,
    shell: &mut Shell<'_>,
) -> anyhow::Result<()> {
    if let [name, key] = names
        && is_key(key)
    {
        let (name, key) = (name.to_string(), key.clone());
        return import(Some(name), Some(key), common, shell).await;
    }
    if names.is_empty() {
        required(None::<()>, "key name", "key create", shell)?;
    }
    let client = common.client(shell)?;
    for text in names {
        let failed = || format!("failed to create key {:?}", &**text);
        let name = KeyName::for_create(text).map_err(|e| anyhow!("{}: {e}", failed()))?;
        client
            .create_key(&name)
            .await
            .map_err(|e| anyhow!("{}: {e}", failed()))?;
    }
    Ok(())
}

/// `kes key create NAME KEY` imported a key before 2022. 32 bytes in base64 end with `=`, which no name holds.
fn is_key(argument: &str) -> bool {
    const KEY_BYTES: usize = 32;
    argument.ends_with('=') && base64::decode(argument).is_ok_and(|key| key.len() == KEY_BYTES)
}

async fn import(
    name: Option<String>,
    key: Option<SecretArgument>,
    common: &Common,
    shell: &mut Shell<'_>,
) -> anyhow::Result<()> {
    let name = required(name, "key name", "key import", shell)?;
    let key = required(key, "crypto key", "key import", shell)?;
    let key = from_base64(&key, "key", "key import", shell)?;
    let client = common.client(shell)?;
    let failed = |error: &dyn std::fmt::Display| anyhow!("failed to import key {name:?}: {error}");
    let checked = KeyName::for_create(&name).map_err(|e| failed(&e))?;
    client
        .import_key(&checked, Secret::new(key), Algorithm::Aes256)
        .await
        .map_err(|e| failed(&e))
}

async fn info(
    name: Option<String>,
    as_json: bool,
    common: &Common,
    shell: &mut Shell<'_>,
) -> anyhow::Result<()> {
    let name = required(name, "key name", "key info", shell)?;
    let client = common.client(shell)?;
    let failed = |error: &dyn std::fmt::Display| anyhow!("failed to describe keys: {error}");
    let info = client
        .describe_key(&name.parse().map_err(|e| failed(&e))?)
        .await
        .map_err(|e| failed(&e))?;
    if as_json {
        return Ok(shell.print_bytes(&info.to_json())?);
    }
    let KeyInfo {
        name,
        algorithm,
        created_at,
        created_by,
    } = info;
    let algorithm = algorithm.map_or("<unknown>", Algorithm::as_str);
    let lines = [
        label("Name") + &name,
        label("Algorithm") + algorithm,
        label("Date") + &date_and_time(created_at),
        label("Owner") + created_by.as_deref().unwrap_or("<unknown>"),
    ];
    // Without a final newline, as the original.
    Ok(shell.print(&lines.join("\n"))?)
}

async fn ls(
    pattern: Option<String>,
    as_json: bool,
    colour: Colour,
    common: &Common,
    shell: &mut Shell<'_>,
) -> anyhow::Result<()> {
    let client = common.client(shell)?;
    let failed = |error: &dyn std::fmt::Display| anyhow!("failed to list keys: {error}");
    let pattern = ListPattern::parse(pattern.as_deref().unwrap_or("*")).map_err(|e| failed(&e))?;
    let names = client.list_keys(&pattern).await.map_err(|e| failed(&e))?;
    print_names(shell, "Key", &names, as_json, colour)
}

async fn remove(args: Names, shell: &mut Shell<'_>) -> anyhow::Result<()> {
    if args.names.is_empty() {
        required(None::<()>, "key name", "key rm", shell)?;
    }
    let client = args.common.client(shell)?;
    for text in &args.names {
        let failed = || format!("failed to remove key {text:?}");
        let name = KeyName::parse(text).map_err(|e| anyhow!("{}: {e}", failed()))?;
        client
            .delete_key(&name)
            .await
            .map_err(|e| anyhow!("{}: {e}", failed()))?;
    }
    Ok(())
}

async fn encrypt(
    name: Option<String>,
    message: Option<SecretArgument>,
    common: &Common,
    shell: &mut Shell<'_>,
) -> anyhow::Result<()> {
    let name = required(name, "key name", "key encrypt", shell)?;
    let message = required(message, "message", "key encrypt", shell)?;
    let client = common.client(shell)?;
    let failed = |error: &dyn std::fmt::Display| anyhow!("failed to encrypt message: {error}");
    let name = name.parse().map_err(|e| failed(&e))?;
    let plaintext = Secret::copied_from(message.as_bytes());
    let ciphertext = client
        .encrypt(&name, plaintext, b"")
        .await
        .map_err(|e| failed(&e))?;
    print_fields(
        shell,
        &[("ciphertext", Zeroizing::new(base64::encode(&ciphertext)))],
    )
}

async fn decrypt(
    name: Option<String>,
    ciphertext: Option<String>,
    context: Option<String>,
    common: &Common,
    shell: &mut Shell<'_>,
) -> anyhow::Result<()> {
    const COMMAND: &str = "key decrypt";
    let name = required(name, "key name", COMMAND, shell)?;
    let ciphertext = required(ciphertext, "ciphertext", COMMAND, shell)?;
    let ciphertext = from_base64(&ciphertext, "ciphertext", COMMAND, shell)?;
    let context = from_base64(
        context.as_deref().unwrap_or_default(),
        "context",
        COMMAND,
        shell,
    )?;
    let client = common.client(shell)?;
    let failed = |error: &dyn std::fmt::Display| anyhow!("failed to decrypt ciphertext: {error}");
    let name = name.parse().map_err(|e| failed(&e))?;
    let plaintext = client
        .decrypt(&name, &ciphertext, &context)
        .await
        .map_err(|e| failed(&e))?;
    print_fields(
        shell,
        &[("plaintext", base64::encode_secret(plaintext.expose()))],
    )
}

async fn generate(
    name: Option<String>,
    context: Option<String>,
    common: &Common,
    shell: &mut Shell<'_>,
) -> anyhow::Result<()> {
    const COMMAND: &str = "key dek";
    let name = required(name, "key name", COMMAND, shell)?;
    let context = from_base64(
        context.as_deref().unwrap_or_default(),
        "context",
        COMMAND,
        shell,
    )?;
    let client = common.client(shell)?;
    let failed = |error: &dyn std::fmt::Display| anyhow!("failed to generate key: {error}");
    let name = name.parse().map_err(|e| failed(&e))?;
    let key = client
        .generate_key(&name, &context)
        .await
        .map_err(|e| failed(&e))?;
    print_fields(
        shell,
        &[
            ("plaintext", base64::encode_secret(key.plaintext.expose())),
            (
                "ciphertext",
                Zeroizing::new(base64::encode(&key.ciphertext)),
            ),
        ],
    )
}

/// On a terminal a blank line and aligned fields; else one JSON object without newline.
fn print_fields(shell: &mut Shell<'_>, fields: &[(&str, Zeroizing<String>)]) -> anyhow::Result<()> {
    let mut parts = Vec::new();
    if shell.stdout_is_terminal {
        let width = fields
            .iter()
            .map(|(name, _)| name.len() + 1)
            .max()
            .unwrap_or_default();
        parts.push(Zeroizing::new("\n".to_owned()));
        for (name, value) in fields {
            parts.push(Zeroizing::new(format!(
                "{:width$} {}\n",
                format!("{name}:"),
                value.as_str()
            )));
        }
    } else {
        for (i, (name, value)) in fields.iter().enumerate() {
            let lead = if i == 0 { '{' } else { ',' };
            // Base64 needs no escapes.
            parts.push(Zeroizing::new(format!(
                "{lead}\"{name}\":\"{}\"",
                value.as_str()
            )));
        }
        parts.push(Zeroizing::new("}".to_owned()));
    }
    for part in parts {
        shell.print(&part)?;
    }
    Ok(())
}
