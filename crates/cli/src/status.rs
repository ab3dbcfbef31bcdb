//! `kes status`.

use std::time::{Duration, Instant};

use clap::Args;
use strongroom_kes_api::body::{ApiRoutes, StatusResponse, ToJson as _};

use crate::duration;
use crate::output::Colour;
use crate::session::{Connect, endpoints};
use crate::shell::Shell;

/// Arguments of `kes status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Print only whether the server answers.
    #[arg(short, long)]
    short: bool,
    /// List the API of the server.
    #[arg(long)]
    api: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// When to use colours.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: Colour,
    /// Server to ask, instead of those of the environment.
    // Without the letter `-s`, which is `--short` here.
    #[arg(long, value_name = "HOST[:PORT]")]
    server: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

/// Asks each server on its own: a balanced answer would hide the one that is down.
pub(crate) async fn run(args: StatusArgs, shell: &mut Shell<'_>) -> anyhow::Result<()> {
    for endpoint in endpoints(args.server.as_deref(), shell)? {
        let client = args.connect.client_of(vec![endpoint.clone()], shell)?;
        let asked = Instant::now();
        let status = client.status().await?;
        let latency = asked.elapsed();
        let routes = if args.api {
            Some(client.apis().await?)
        } else {
            None
        };
        if args.json {
            let json = match &routes {
                Some(routes) => routes.to_json(),
                None => status.to_json(),
            };
            shell.print_bytes(&json)?;
            continue;
        }
        let mut text = format!(
            "{} {}\n",
            dot(args.color.is_on(shell), &status),
            endpoint.host_and_port()
        );
        if !args.short {
            text += &details(&status, latency);
        }
        if let Some(routes) = &routes {
            text.push('\n');
            text += &table(routes);
        }
        shell.print(&text)?;
    }
    Ok(())
}

fn dot(is_styled: bool, status: &StatusResponse) -> String {
    use clap::builder::styling::{AnsiColor, Style};
    let style = match () {
        () if !is_styled => Style::new(),
        () if status.keystore_unavailable || status.keystore_unreachable => {
            AnsiColor::Red.on_default()
        }
        () => AnsiColor::Green.on_default(),
    };
    format!("{style}●{style:#}")
}

fn details(status: &StatusResponse, latency: Duration) -> String {
    let mut lines = vec![
        ("Version", status.version.clone()),
        ("Uptime", duration::in_words(status.uptime())),
        ("Latency", duration::in_milliseconds(latency)),
        ("OS", status.os.clone()),
        ("CPUs", format!("{} {}", status.num_cpu_used, status.arch)),
        ("Memory", String::new()),
        ("· Heap", bytes(status.mem_heap_used)),
        ("· Stack", bytes(status.mem_stack_used)),
    ];
    if status.keystore_unreachable {
        lines.push(("Store", "unreachable".to_owned()));
    } else if status.keystore_unavailable {
        lines.push(("Store", "unavailable".to_owned()));
    }
    let line = |(name, value): (&str, String)| match name {
        // A title: nothing to align.
        "Memory" => "  Memory  \n".to_owned(),
        _ => format!("  {name:7}  {value}\n"),
    };
    lines.into_iter().map(line).collect()
}

/// `6.5MB`: decimal units, one digit behind the point.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 4] = [
        ("TB", 1_000_000_000_000),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("KB", 1_000),
    ];
    match UNITS.iter().find(|(_, size)| count >= *size) {
        Some((unit, size)) => {
            let tenths = (u128::from(count) * 10 + u128::from(size / 2)) / u128::from(*size);
            format!("{}.{}{unit}", tenths / 10, tenths % 10)
        }
        None => format!("{count}B"),
    }
}

fn table(routes: &ApiRoutes) -> String {
    /// As wide as the original's, whose longest route has 26 characters.
    const PATH_CHARS_MIN: usize = 27;
    let mut routes: Vec<_> = routes.routes.iter().collect();
    routes.sort_by(|a, b| a.path.cmp(&b.path));
    let width = routes
        .iter()
        .map(|r| r.path.len())
        .max()
        .unwrap_or_default()
        .max(PATH_CHARS_MIN);
    let mut text = format!("  {:6}  {:width$}  Timeout\n", "Method", "API");
    for route in routes {
        let timeout = match route.timeout_s {
            0 => "Inf".to_owned(),
            seconds => format!("{seconds}s"),
        };
        text += &format!("  {:6}  {:width$}  {timeout}\n", route.method, route.path);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_have_decimal_units() {
        assert_eq!(bytes(999), "999B");
        assert_eq!(bytes(524_288), "524.3KB");
        assert_eq!(bytes(6_759_968), "6.8MB");
        assert_eq!(bytes(u64::MAX), "18446744.1TB");
    }
}
