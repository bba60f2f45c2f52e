//! The token for a forge's API: from the environment, or from git's own store of credentials. Never shown.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::place::Kind;

/// A token, and the user it was stored with.
#[derive(Clone)]
pub struct Token {
    user: Option<String>,
    secret: String,
}

impl Token {
    /// `None` for what cannot be in a header.
    pub fn new(user: Option<String>, secret: String) -> Option<Token> {
        let is_plain = !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic());
        is_plain.then_some(Token { user, secret })
    }

    /// The value of an `Authorization` header.
    pub(super) fn header(&self, kind: Kind) -> String {
        match (kind, &self.user) {
            (Kind::Gitea, _) => format!("token {}", self.secret),
            // An app password goes with its user; an access token has none, or this one.
            (Kind::Bitbucket, Some(user)) if user != "x-token-auth" => {
                format!("Basic {}", STANDARD.encode(format!("{user}:{}", self.secret)))
            }
            _ => format!("Bearer {}", self.secret),
        }
    }

    /// A text of the forge without the token, should it quote it.
    pub(super) fn redact(&self, text: &str) -> String {
        text.replace(&self.secret, "…")
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_forge_gets_its_header_and_nobody_else_sees_the_token() {
        let token = |user: Option<&str>| Token::new(user.map(str::to_owned), "s3cret".to_owned()).unwrap();
        assert_eq!(token(None).header(Kind::Github), "Bearer s3cret");
        assert_eq!(token(Some("ann")).header(Kind::Gitlab), "Bearer s3cret");
        assert_eq!(token(None).header(Kind::Gitea), "token s3cret");
        assert_eq!(token(Some("ann")).header(Kind::Bitbucket), "Basic YW5uOnMzY3JldA==");
        assert_eq!(token(Some("x-token-auth")).header(Kind::Bitbucket), "Bearer s3cret");
        assert_eq!(format!("{:?} {}", token(None), token(None).redact("bad s3cret!")), "Token(…) bad …!");
        assert!(
            Token::new(None, "a\r\nx: y".to_owned()).is_none() && Token::new(None, String::new()).is_none()
        );
    }
}
