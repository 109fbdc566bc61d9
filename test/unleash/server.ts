import { start } from 'unleash-server';

// A real Unleash server as a child process, which ends with its parent. The rest is in the environment that Unleash itself reads.
const server = await start({
  server: { host: '127.0.0.1', port: Number(process.env['HTTP_PORT']) },
  // Neither looks for newer versions nor reports its use.
  versionCheck: { enable: false, url: '' },
  telemetry: false,
});
process.once('disconnect', () => void server.stop().finally(() => process.exit(0)));
process.send?.('ready');
