use base64::Engine;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{REPOSITORY, jwt, world};
use crate::git::Change;
use crate::github::{Level, NewPullRequest, Role};

#[tokio::test]
async fn the_app_signs_in_and_sees_its_installations() {
    let world = world().await;
    let app = world.as_app(Method::GET, "/app", Value::Null).await;
    assert_eq!((app.status, &app.body["id"]), (200, &json!(4242)));
    let installations = world.as_app(Method::GET, "/app/installations", Value::Null).await;
    assert_eq!(installations.body[0]["account"]["login"], "acme");
    let one = format!("/app/installations/{}", installations.body[0]["id"]);
    assert_eq!(world.as_app(Method::GET, &one, Value::Null).await.body["target_type"], "Organization");
    let repositories = world.get("/installation/repositories").await;
    assert_eq!(repositories.body["repositories"][0]["full_name"], REPOSITORY);
    for (id, issued, expires) in [(1, -60, 540), (4242, -60, 700), (4242, 60, 540), (4242, -900, -300)] {
        let refused = world.send(Method::GET, "/app", Value::Null, Some(&jwt(id, issued, expires))).await;
        assert_eq!(refused.status, 401, "id {id}, issued {issued}, expires {expires}: {}", refused.body);
    }
    let user = world.send(Method::GET, "/user", Value::Null, Some("ghp_machine")).await;
    assert_eq!((user.status, &user.body["type"]), (200, &json!("User")));
    assert_eq!(world.get("/rate_limit").await.status, 200);
    world.assert_true_to_github();
}

#[tokio::test]
async fn a_repository_and_its_refs_are_read() {
    let world = world().await;
    let repository = world.get("/repos/acme/shop").await;
    assert_eq!(repository.body["default_branch"], "main");
    let branch = world.get("/repos/acme/shop/branches/feature").await;
    assert_eq!(branch.body["commit"]["sha"], world.head.to_string());
    for (git_ref, sha) in [("heads/main", world.first), ("pull/1/head", world.head)] {
        let found = world.get(&format!("/repos/acme/shop/git/ref/{git_ref}")).await;
        assert_eq!(found.body["object"]["sha"], sha.to_string(), "{git_ref}");
    }
    let commit = world.get("/repos/acme/shop/commits/feature").await;
    assert_eq!(commit.body["parents"][0]["sha"], world.first.to_string());
    for missing in
        ["branches/nope", "git/ref/heads/nope", "git/ref/heads/no..pe", "pulls/99", "git/blobs/xyz"]
    {
        assert_eq!(world.get(&format!("/repos/acme/shop/{missing}")).await.status, 404, "{missing}");
    }
    assert_eq!(world.get("/repos/acme/shop/commits/nope").await.status, 422);
    world.assert_true_to_github();
}

#[tokio::test]
async fn trees_and_blobs_are_read_by_their_names() {
    let world = world().await;
    let tree = world.get(&format!("/repos/acme/shop/git/trees/{}?recursive=1", world.head)).await;
    let entries = tree.body["tree"].as_array().unwrap();
    let find = |path: &str| entries.iter().find(|entry| entry["path"] == path).unwrap();
    assert_eq!(find("odd \"näme\".txt")["size"], 4);
    assert_eq!((&find("link")["mode"], &find("sub")["type"]), (&json!("120000"), &json!("commit")));
    assert_eq!(tree.body["truncated"], false);
    let sha = find("prisma/migrations/1_init/migration.sql")["sha"].as_str().unwrap();
    let blob = world.get(&format!("/repos/acme/shop/git/blobs/{sha}")).await;
    let content: String = blob.body["content"].as_str().unwrap().split('\n').collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(content).unwrap();
    assert_eq!(bytes, b"CREATE TABLE a (id int);\n");
    // By a tree's own id, and not recursively.
    let subtree = find("prisma/migrations")["sha"].as_str().unwrap();
    let listed = world.get(&format!("/repos/acme/shop/git/trees/{subtree}")).await;
    assert_eq!(listed.body["tree"].as_array().unwrap().len(), 3);
    world.github.set_tree_limit(REPOSITORY, 2).unwrap();
    let cut = world.get(&format!("/repos/acme/shop/git/trees/{}?recursive=1", world.head)).await;
    assert_eq!((&cut.body["truncated"], cut.body["tree"].as_array().unwrap().len()), (&json!(true), 2));
    world.assert_true_to_github();
}

#[tokio::test]
async fn contents_are_read_by_path() {
    let world = world().await;
    let file = world.get("/repos/acme/shop/contents/prisma/migrations/2/migration.sql?ref=feature").await;
    assert_eq!((&file.body["type"], &file.body["content"]), (&json!("file"), &json!("U0VMRUNUIDE7\n")));
    let directory = world.get("/repos/acme/shop/contents/prisma/migrations").await;
    assert_eq!(directory.body.as_array().unwrap().len(), 2);
    assert_eq!(world.get("/repos/acme/shop/contents/odd%20%22n%C3%A4me%22.txt").await.body["size"], 4);
    assert_eq!(world.get("/repos/acme/shop/contents/link").await.body["target"], "prisma");
    let submodule = world.get("/repos/acme/shop/contents/sub").await.body;
    assert_eq!(submodule["submodule_git_url"], "https://git.example/sub.git");
    assert_eq!(world.get("/repos/acme/shop/contents/.offshoot.toml").await.status, 404);
    world.assert_true_to_github();
}

#[tokio::test]
async fn two_commits_are_compared() {
    let world = world().await;
    let main = world.github.push(REPOSITORY, "main", &[Change::write("readme", "1")]).unwrap();
    let compared = world.get(&format!("/repos/acme/shop/compare/{main}...{}", world.head)).await.body;
    assert_eq!(compared["merge_base_commit"]["sha"], world.first.to_string());
    assert_eq!(
        (&compared["status"], &compared["ahead_by"], &compared["behind_by"]),
        (&json!("diverged"), &json!(1), &json!(1))
    );
    assert_eq!(world.get("/repos/acme/shop/compare/main...main").await.body["status"], "identical");
    assert_eq!(world.get("/repos/acme/shop/compare/main...nope").await.status, 404);
    world.github.fork_repository(REPOSITORY, "bob").unwrap();
    world.github.push("bob/shop", "idea", &[Change::write("x", "1")]).unwrap();
    assert_eq!(world.get("/repos/acme/shop/compare/main...bob:idea").await.body["ahead_by"], 1);
    world.assert_true_to_github();
}

#[tokio::test]
async fn pull_requests_are_listed_in_pages() {
    let world = world().await;
    for number in 2..=5 {
        let branch = format!("feature-{number}");
        world.github.push(REPOSITORY, &branch, &[Change::write("x", &branch)]).unwrap();
        world.github.open_pull_request(&NewPullRequest::new(REPOSITORY, "main", &branch)).unwrap();
    }
    world.github.close(REPOSITORY, 3).unwrap();
    let mut next = Some("/repos/acme/shop/pulls?per_page=2&base=main".to_owned());
    let mut numbers = Vec::new();
    while let Some(path) = next {
        let page = world.get(&path).await;
        numbers.extend(page.body.as_array().unwrap().iter().map(|pull| pull["number"].as_u64().unwrap()));
        let links =
            page.headers.get("link").map(|links| links.to_str().unwrap().to_owned()).unwrap_or_default();
        let link = links.split(", ").find(|link| link.ends_with("rel=\"next\"")).map(str::to_owned);
        next = link.map(|link| link[1..link.find('>').unwrap()].to_owned());
    }
    assert_eq!(numbers, [5, 4, 2, 1]);
    let closed = world.get("/repos/acme/shop/pulls?state=closed").await.body;
    assert_eq!(closed[0]["number"], 3);
    let headed = world.get("/repos/acme/shop/pulls?state=all&head=acme:feature-3").await.body;
    assert_eq!(headed.as_array().unwrap().len(), 1);
    world.assert_true_to_github();
}

#[tokio::test]
async fn graphql_reads_many_blobs_at_once() {
    let world = world().await;
    let big = "é".repeat(300_000);
    let head = world.github.push(REPOSITORY, "feature", &[Change::write("big.sql", &big)]).unwrap();
    let git = world.github.git(REPOSITORY).unwrap();
    let tree = git.tree_of(head).unwrap().unwrap();
    let sha = |path: &str| git.entry(tree, path).unwrap().unwrap().sha.to_string();
    let query = "query($owner: String!, $name: String!, $big: GitObjectID!, $odd: GitObjectID!) {
        repository(owner: $owner, name: $name) {
            small: object(expression: \"feature:prisma/migrations/2/migration.sql\") { ...blob }
            big: object(oid: $big) { ...blob }
            odd: object(oid: $odd) { ...blob }
            none: object(oid: \"1234567890123456789012345678901234567890\") { ...blob }
        }
        rateLimit { cost remaining }
    }
    fragment blob on GitObject { oid ... on Blob { byteSize isBinary isTruncated text } }";
    let variables =
        json!({ "owner": "acme", "name": "shop", "big": sha("big.sql"), "odd": sha("odd \"näme\".txt") });
    let answered = world.graphql(query, variables).await;
    assert!(answered["errors"].is_null(), "{answered}");
    let found = &answered["data"]["repository"];
    assert_eq!((&found["small"]["text"], &found["small"]["byteSize"]), (&json!("SELECT 1;"), &json!(9)));
    assert_eq!((&found["odd"]["isBinary"], &found["odd"]["text"]), (&json!(true), &Value::Null));
    assert_eq!((&found["big"]["isTruncated"], &found["big"]["byteSize"]), (&json!(true), &json!(600_000)));
    assert_eq!(found["big"]["text"].as_str().unwrap().len(), 512_000);
    assert_eq!((&found["none"], &answered["data"]["rateLimit"]["cost"]), (&Value::Null, &json!(1)));
}

#[tokio::test]
async fn graphql_refuses_what_github_refuses() {
    let world = world().await;
    let unknown =
        world.graphql("{ repository(owner: \"acme\", name: \"shop\") { colour } }", json!({})).await;
    assert_eq!(unknown["errors"][0]["message"], "Field 'colour' doesn't exist on type 'Repository'");
    let missing = world.graphql("{ repository(owner: \"acme\", name: \"nope\") { name } }", json!({})).await;
    assert_eq!(
        (&missing["errors"][0]["type"], &missing["data"]["repository"]),
        (&json!("NOT_FOUND"), &Value::Null)
    );
    for broken in
        ["{ repository(", "mutation { x }", "query($a: String!) { repository(owner: $a, name: $a) { name } }"]
    {
        let refused = world.graphql(broken, json!({})).await;
        assert!(
            refused["errors"][0]["message"].is_string() && refused["data"].is_null(),
            "{broken}: {refused}"
        );
    }
    let anonymous = world.send(Method::POST, "/graphql", json!({ "query": "{ __typename }" }), None).await;
    assert_eq!(anonymous.status, 401);
}

#[tokio::test]
async fn tokens_see_and_do_what_they_may() {
    let world = world().await;
    let github = &world.github;
    let login = |login: &str| format!("/repos/acme/shop/collaborators/{login}/permission");
    github.set_role(REPOSITORY, "mia", Some(Role::Maintain)).unwrap();
    let mia = world.get(&login("mia")).await.body;
    assert_eq!((&mia["permission"], &mia["role_name"]), (&json!("write"), &json!("maintain")));
    assert_eq!(world.get(&login("ann")).await.body["permission"], "read");
    github.set_private(REPOSITORY, true).unwrap();
    assert_eq!(world.get(&login("ann")).await.body["permission"], "none");
    assert_eq!(world.get(&login("nobody-at-all")).await.status, 404);
    assert_eq!(world.send(Method::GET, "/repos/acme/shop", Value::Null, None).await.status, 404);
    github.set_permission("acme", "checks", Some(Level::Read)).unwrap();
    let narrowed = world.installation_token(json!({})).await;
    let check = json!({ "name": "x", "head_sha": world.head });
    let refused =
        world.send(Method::POST, "/repos/acme/shop/check-runs", check.clone(), Some(&narrowed)).await;
    assert_eq!(
        (refused.status, &refused.body["message"]),
        (403, &json!("Resource not accessible by integration"))
    );
    let person = world.send(Method::POST, "/repos/acme/shop/check-runs", check, Some("ghp_machine")).await;
    assert_eq!(person.status, 403);
    github.expire_tokens();
    assert_eq!(world.get("/repos/acme/shop").await.status, 401);
    world.assert_true_to_github();
}
