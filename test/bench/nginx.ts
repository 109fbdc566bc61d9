import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cleanup } from './cleanup.ts';

export interface NginxSettings {
  readonly folder: string;
  readonly port: number;
  /** Ports of the service, and of the one that gets a copy of every request. */
  readonly upstream: number;
  readonly mirror: number;
}

const NGINX = 'nginx';
const PATIENCE_MS = 5_000;

/** nginx's version where it is installed. */
export function nginxVersion(): string | undefined {
  const { error, stderr } = spawnSync(NGINX, ['-v'], { encoding: 'utf8' });
  return error === undefined ? stderr.trim().replace('nginx version: ', '') : undefined;
}

/** nginx with `mirror`, its connections kept alive on both sides. */
export async function startNginx(settings: NginxSettings, cleanup: Cleanup): Promise<void> {
  const { folder, port } = settings;
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, configuration(settings));
  const child = spawn(NGINX, ['-p', folder, '-c', file, '-e', join(folder, 'error.log')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = once(child, 'exit');
  cleanup.keep({
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  });
  const untilMs = performance.now() + PATIENCE_MS;
  while (!(await isListening(port))) {
    if (child.exitCode !== null || performance.now() > untilMs) throw new Error('nginx does not listen');
    await sleep(20);
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

function configuration({ folder, port, upstream, mirror }: NginxSettings): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `  ${name}_temp_path ${join(folder, name)};`,
  );
  const upstreams = Object.entries({ legacy: upstream, copy: mirror }).map(
    ([name, to]) => `  upstream ${name} { server 127.0.0.1:${to}; keepalive 128; }`,
  );
  return `daemon off;
worker_processes auto;
pid ${join(folder, 'nginx.pid')};
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 1024; }
http {
  access_log off;
${paths.join('\n')}
${upstreams.join('\n')}
  keepalive_requests 1000000000;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  server {
    listen 127.0.0.1:${port};
    location / { mirror /mirror; proxy_pass http://legacy; }
    location = /mirror { internal; proxy_pass http://copy$request_uri; }
  }
}
`;
}
