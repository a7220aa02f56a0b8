"""Stand-alone script that runs an exported graph with Lava; `pisnn_deploy.formats.lava.script` ships it unchanged."""
