"""The script that runs an exported graph with Lava alone; `pisnn_deploy.exports.lava_script` ships it as it is."""
