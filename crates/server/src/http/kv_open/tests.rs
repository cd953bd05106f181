use std::time::Duration;

use stele_core::AccountId;
use stele_core::transaction::Statement;

use super::{End, OpenTransactions, Token};

fn begin(transactions: &OpenTransactions) -> Result<Token, String> {
    let view = transactions
        .begin("operator".to_owned(), AccountId::LEDGER)
        .map_err(|error| error.code().to_owned())?;
    let mut token = Token::default();
    hex::decode_to_slice(view.transaction, &mut token).unwrap();
    Ok(token)
}

fn code(transactions: &OpenTransactions, token: &Token) -> String {
    match transactions.find(token) {
        Ok(_) => "open".to_owned(),
        Err(error) => error.code().to_owned(),
    }
}

#[test]
fn c4_an_idle_transaction_expires_with_an_error_of_its_own() {
    let transactions = OpenTransactions::new(2, Duration::from_millis(30));
    let token = begin(&transactions).unwrap();
    assert_eq!(code(&transactions, &token), "open");
    std::thread::sleep(Duration::from_millis(60));
    assert_eq!(code(&transactions, &token), "expired");
    assert_eq!(code(&transactions, &[7; 16]), "unknown_transaction");
}

#[test]
fn c4_open_transactions_are_bounded_and_end_once() {
    let transactions = OpenTransactions::new(2, Duration::from_secs(60));
    let first = begin(&transactions).unwrap();
    let second = begin(&transactions).unwrap();
    assert_eq!(begin(&transactions).unwrap_err(), "busy");
    assert!(transactions.end(&first, End::Committed).is_ok());
    assert_eq!(code(&transactions, &first), "ended");
    assert!(transactions.end(&first, End::RolledBack).is_err());
    assert!(transactions.end(&second, End::RolledBack).is_ok());
    assert!(begin(&transactions).is_ok());
}

#[tokio::test]
async fn c4_writes_of_a_transaction_are_bounded() {
    let transactions = OpenTransactions::new(2, Duration::from_secs(60));
    let token = begin(&transactions).unwrap();
    let statement = || Statement {
        sql: "x".to_owned(),
        parameters: Vec::new(),
        result: None,
    };
    for _ in 0..super::STATEMENTS_MAX {
        transactions.write(&token, statement()).await.unwrap();
    }
    let refused = transactions.write(&token, statement()).await.unwrap_err();
    assert_eq!(refused.code(), "54000");
}
