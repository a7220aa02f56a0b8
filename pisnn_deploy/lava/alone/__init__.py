"""The script that runs an exported graph with Lava alone; `pisnn_deploy.formats.lava.script` ships it as it is."""
