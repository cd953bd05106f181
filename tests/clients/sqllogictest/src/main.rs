//! Runs sqllogictest files against a server that speaks PostgreSQL's protocol, one after the other, and prints
//! one JSON object a file: `{"file", "run", "passed", "failed": [{"line", "sql", "reason"}]}`.
//!
//! A record that fails does not end its file. Each file gets connections of its own, and what it left in
//! schema `public` is dropped after it.
//!
//! ```text
//! stele-sqllogictest [--public] CONNECTION FILE...
//! ```
//!
//! `--public` is for files made for other databases: CREATE TABLE is written otherwise (see [`rewrite`]), values
//! are shown as these files have them (see [`values`]), and two kinds of records are not counted: those that expect
//! an error, for each database words its own, and those that read the clock, for PostgreSQL itself answers some of
//! them another way from time to time (`date_part('second', now()) = EXTRACT(second FROM now())`).

mod engine;
mod rewrite;
mod values;

use std::process::ExitCode;

use engine::{Engine, Options};
use serde_json::{Value, json};
use sqllogictest::{DefaultColumnType, QueryExpect, Record, RecordOutput, Runner, StatementExpect};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut options = Options::default();
    let mut rest = Vec::new();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--public" => options.public = true,
            _ => rest.push(argument),
        }
    }
    let [connection, files @ ..] = rest.as_slice() else {
        eprintln!("usage: stele-sqllogictest [--public] CONNECTION FILE...");
        return ExitCode::from(2);
    };
    for file in files {
        match run_file(connection, options, file).await {
            Ok(report) => println!("{report}"),
            Err(error) => {
                eprintln!("{file}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

async fn run_file(
    connection: &str,
    options: Options,
    file: &str,
) -> Result<Value, Box<dyn std::error::Error>> {
    let records = sqllogictest::parse_file::<DefaultColumnType>(file)?;
    let mut runner = Runner::new(move || Engine::connect(connection.to_owned(), options));
    let (mut run, mut passed, mut failed) = (0, 0, Vec::new());
    for record in records {
        match record {
            Record::Halt { .. } => break,
            // A command of the machine: not from files that others wrote.
            Record::System { .. } => continue,
            _ => {}
        }
        let Some((line, sql)) = described(&record) else {
            runner.run_async(record).await?;
            continue;
        };
        let counted = !options.public || !(expects_error(&record) || reads_the_clock(&sql));
        match runner.run_async(record).await {
            Ok(RecordOutput::Nothing) => {}
            _ if !counted => {}
            Ok(_) => {
                run += 1;
                passed += 1;
            }
            Err(error) => {
                run += 1;
                failed.push(json!({"line": line, "sql": sql, "reason": error.kind().to_string()}));
            }
        }
    }
    runner.shutdown_async().await;
    Engine::connect(connection.to_owned(), options)
        .await?
        .drop_all()
        .await?;
    Ok(json!({"file": file, "run": run, "passed": passed, "failed": failed}))
}

/// Line and SQL of a record that asks something of the server.
fn described(record: &Record<DefaultColumnType>) -> Option<(u32, String)> {
    match record {
        Record::Statement { loc, sql, .. }
        | Record::Query { loc, sql, .. }
        | Record::Let { loc, sql, .. } => Some((loc.line(), sql.clone())),
        _ => None,
    }
}

fn reads_the_clock(sql: &str) -> bool {
    let sql = sql.to_ascii_lowercase();
    [
        "now()",
        "current_date",
        "current_time",
        "clock_timestamp",
        "today()",
    ]
    .iter()
    .any(|name| sql.contains(name))
}

fn expects_error(record: &Record<DefaultColumnType>) -> bool {
    matches!(
        record,
        Record::Statement {
            expected: StatementExpect::Error(_),
            ..
        } | Record::Query {
            expected: QueryExpect::Error(_),
            ..
        }
    )
}
