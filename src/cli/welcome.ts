import type { Config } from '../config/schema.ts';
import type { DefinedService } from '../compose/definitions.ts';
import { portsOf } from '../compose/listeners.ts';
import { table } from './tables.ts';

/** The addresses of all parts, and commands to try first. */
export function createWelcome(
  { http, desk, orchestrator }: Config,
  services: readonly DefinedService[],
): string {
  const base = `http://${http.host}:${http.port}`;
  const rows = [
    ...services.flatMap(rowsOf),
    ['any service over HTTP', `POST ${base}/v1/services/<service>`, ''],
    ['', '', ''],
    ...(desk === undefined ? [] : [["operator's desk", `http://${desk.host}:${desk.port}`, '']]),
    ['orchestrator', orchestrator.endpoint, 'http://127.0.0.1:5571/openapi.json'],
    ['status, metrics', `${base}/v1/status`, `${base}/metrics`],
    ['health', `${base}/health/ready`, `${base}/health/live`],
  ];
  const ask = (service: string, body: string): string =>
    `  curl -s ${base}/v1/services/${service} -d '${body}'`;
  return [
    '',
    table(['service', 'agents connect to', 'legacy service'], rows),
    '',
    'Try:',
    ask('session-memory', '{"action": "create_session", "session_id": "s-1", "user_id": "ana"}'),
    ask(
      'session-memory',
      '{"action": "add_interaction", "session_id": "s-1", "role": "user", "content": "hello"}',
    ),
    ask('session-memory', '{"action": "get_context", "session_id": "s-1"}'),
    ask('jarvis-memory', '{"action": "add_memory", "user_id": "ana", "memory": "likes tea"}'),
    ask('jarvis-memory', '{"action": "get_memories", "user_id": "ana"}'),
    '  npm run crossfade -- status',
    "Then move the reads of session-memory to 100 % on the operator's desk (or in flags/crossfade.json), and read again:",
    'the orchestrator answers. Ctrl-C stops everything. The data is in ./data.',
    '',
  ].join('\n');
}

function rowsOf({ name, config, definition }: DefinedService): string[][] {
  const { endpoint } = definition;
  const { legacy } = config;
  if (endpoint.kind !== 'zmq') return [[name, endpoint.prefix, legacy.endpoint]];
  const { healthPort, pubPort } = portsOf({ definition, config }) ?? {};
  const at = (port: number): string => `tcp://${config.host ?? '127.0.0.1'}:${port}`;
  return [
    [name, at(endpoint.port), legacy.endpoint],
    ...(healthPort === undefined ? [] : [['  health', at(healthPort), 'answered by the proxy']]),
    ...(pubPort === undefined ? [] : [['  PUB', at(pubPort), legacy.pubEndpoint ?? '']]),
  ];
}
