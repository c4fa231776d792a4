//! Several statements sent as one message: the database does one after the other without waiting for us in between.
//!
//! If one fails within a transaction, those behind it fail too, and a COMMIT among them rolls back.

use std::pin::Pin;

use futures_util::FutureExt as _;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Statement};

/// A value for a statement.
pub(super) type Value<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// The answer to a statement: awaited, or one that came at once.
enum Answer<'a> {
    Awaited(Pin<Box<dyn Future<Output = Result<Vec<Row>, Error>> + Send + 'a>>),
    Here(Result<Vec<Row>, Error>),
}

/// A message that is being sent. Statements go out in the order in which they are added.
pub(super) struct Message<'a> {
    client: &'a Client,
    answers: Vec<Answer<'a>>,
    /// True if a statement could not be sent: nothing behind it is, least of all a COMMIT.
    has_failed: bool,
}

/// The place of a statement in its message, by which its rows are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(usize);

/// The rows that a message has brought.
pub(super) struct Answers(Vec<Vec<Row>>);

impl<'a> Message<'a> {
    pub(super) const fn to(client: &'a Client) -> Self {
        Self { client, answers: Vec::new(), has_failed: false }
    }

    /// Adds a statement.
    pub(super) fn add(&mut self, statement: &'a Statement, values: Vec<Value<'a>>) -> Place {
        let client = self.client;
        if self.has_failed {
            return Place(self.answers.len());
        }
        let mut asked = async move {
            let values: Vec<&(dyn ToSql + Sync)> =
                values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect();
            client.query(statement, &values).await
        }
        .boxed();
        // It is sent when it is looked at for the first time.
        let answer = match asked.as_mut().now_or_never() {
            Some(answer) => {
                self.has_failed |= answer.is_err();
                Answer::Here(answer)
            }
            None => Answer::Awaited(asked),
        };
        self.answers.push(answer);
        Place(self.answers.len() - 1)
    }

    /// Waits for the answers to all statements.
    pub(super) async fn answers(self) -> Result<Answers, Error> {
        let mut rows = Vec::with_capacity(self.answers.len());
        for answer in self.answers {
            rows.push(match answer {
                Answer::Awaited(asked) => asked.await?,
                Answer::Here(answer) => answer?,
            });
        }
        Ok(Answers(rows))
    }
}

impl Answers {
    /// Takes the rows of one statement.
    pub(super) fn take(&mut self, place: Place) -> Vec<Row> {
        self.0.get_mut(place.0).map(std::mem::take).unwrap_or_default()
    }
}

/// Boxes the values of a statement.
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$(Box::new($value) as crate::store::postgres::message::Value<'_>),*] };
}
pub(super) use values;

/// Makes a set of statements that are prepared in a connection together.
macro_rules! statements {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $sql:expr),+ $(,)? }) => {
        $(#[$doc])*
        pub(in crate::store::postgres) struct $name {
            $(pub(in crate::store::postgres) $field: tokio_postgres::Statement,)+
        }

        impl crate::store::postgres::connection::Prepare for $name {
            async fn prepare(
                client: &tokio_postgres::Client,
            ) -> Result<Self, crate::store::postgres::errors::Failure> {
                let ($($field,)+) = tokio::try_join!($(client.prepare($sql)),+)?;
                Ok(Self { $($field),+ })
            }
        }
    };
}
pub(super) use statements;
