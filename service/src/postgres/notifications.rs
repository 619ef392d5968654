//! Sessions that are told of `NOTIFY`.

use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client, Notification};

use super::{ConnectError, Endpoint};

impl Endpoint {
    /// A session of its own, with the notifications of the channels that the client then listens to. They end with the
    /// session, whoever ends it.
    pub async fn connect_notified(
        &self,
    ) -> Result<(Client, mpsc::UnboundedReceiver<Notification>), ConnectError> {
        let refused = |source| ConnectError::Refused { server: self.address(), source };
        let (client, mut connection) = self.config.connect(self.tls.clone()).await.map_err(refused)?;
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ok(message)) =
                std::future::poll_fn(|context| connection.poll_message(context)).await
            {
                if let AsyncMessage::Notification(notification) = message
                    && sender.send(notification).is_err()
                {
                    break;
                }
            }
        });
        Ok((client, receiver))
    }
}
