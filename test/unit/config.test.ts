import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ConfigSchema } from '../../src/config/schema.ts';
import { ConfigError, loadConfig } from '../../src/config/config.ts';
import { longestGapMs } from '../../src/operator/run-schedule.ts';

const root = new URL('../../config/', import.meta.url).pathname;

function load(text: string, env: Record<string, string> = {}, services?: 'real') {
  const file = join(mkdtempSync(join(tmpdir(), 'crossfade-config-')), 'c.yaml');
  writeFileSync(file, text);
  return loadConfig(file, env, services);
}

function problemsOf(text: string, env: Record<string, string> = {}, services?: 'real'): readonly string[] {
  try {
    load(text, env, services);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

const SERVICE = 'services: { s: { legacy: { endpoint: "tcp://127.0.0.1:1" } } }';

test('the shipped files are usable', () => {
  expect(loadConfig(join(root, 'crossfade.yaml'), {}).http.port).toBe(5580);
  expect(Object.keys(loadConfig(join(root, 'production.example.yaml'), {}).services)).toHaveLength(3);
});

test('interlocks are enforced unless set to warn, as in the embedded default', () => {
  const { interlocks, services } = loadConfig(join(root, 'production.example.yaml'), {});
  expect(interlocks).toBe('enforce');
  expect(Object.values(services).map((service) => service.interlocks)).not.toContain('warn');
  expect(load(SERVICE).interlocks).toBe('enforce');
  expect(loadConfig(join(root, 'crossfade.yaml'), {}).interlocks).toBe('warn');
});

test('the example has the defaults, and reconciles as often as interlocks need', () => {
  const { reconciliation } = loadConfig(join(root, 'production.example.yaml'), {});
  expect(load(SERVICE).reconciliation).toMatchObject({
    full: reconciliation.full,
    changed: reconciliation.changed,
  });
  const gapMs = longestGapMs(reconciliation.full, reconciliation.timeZone, new Date('2026-11-21T00:00:00Z'));
  expect(gapMs).toBe(86_400_000);
});

test('every setting is explained in the example', () => {
  const example = readFileSync(join(root, 'production.example.yaml'), 'utf8');
  const keys = new Set<string>();
  const collect = (schema: unknown): void => {
    if (typeof schema !== 'object' || schema === null) return;
    if ('properties' in schema && typeof schema.properties === 'object' && schema.properties !== null) {
      for (const [key, inner] of Object.entries(schema.properties)) {
        keys.add(key);
        collect(inner);
      }
    }
    if ('patternProperties' in schema) Object.values(schema.patternProperties as object).forEach(collect);
  };
  collect(ConfigSchema);
  expect(keys.size).toBeGreaterThan(40);
  for (const key of keys) expect(example).toMatch(new RegExp(`\\b${key}:`));
});

test('all problems are reported at once, each with its key and value', () => {
  const problems = problemsOf(`
http: { port: 5574 }
proxy: { deadlineMs: soon, hots: x }
telemetry: { logLevel: loud }
services:
  a: { port: 5574, timeZone: Mars/Olympus, legacy: { endpoint: "tcp://h:1" } }
  b: { legacy: { inFlight: -1 } }
`);
  expect(problems).toContain('proxy.deadlineMs must be a whole number, got "soon"');
  expect(problems).toContain('proxy.hots is not a setting; did you mean proxy.host?');
  expect(problems).toContain(
    'services.a.port is 5574, which is also the value of http.port: use different ports',
  );
  expect(problems).toContain('services.a.timeZone must be an IANA time zone, got "Mars/Olympus"');
  expect(problems).toContain('services.b.legacy.inFlight must be at least 0, got -1');
  expect(problems).toContain('services.b.legacy.endpoint is missing: set it');
  expect(problems).toContain(
    'telemetry.logLevel must be one of trace, debug, info, warn, error, silent, got "loud"',
  );
});

test('the message names the file and has a line for each problem', () => {
  expect(() => load('services: { s: { legacy: { endpoint: "tcp://h:1" } } }\nhttp: { port: soon }')).toThrow(
    /^Configuration .*c\.yaml is not usable:\n {2}- http\.port must be a whole number, got "soon" \(line 2\)$/,
  );
});

test('a similar setting is proposed, for others there is no proposal', () => {
  const problems = problemsOf(`
proxy: { deadlineSeconds: 4, zebra: 1 }
telemtry: { logLevel: info }
services:
  s: { legacy: { endpoint: "tcp://127.0.0.1:1", sqliteFiles: x } }
`);
  expect(problems).toContain('proxy.deadlineSeconds is not a setting; did you mean proxy.deadlineMs?');
  expect(problems).toContain('proxy.zebra is not a setting');
  expect(problems).toContain('telemtry is not a setting; did you mean telemetry?');
  expect(problems).toContain(
    'services.s.legacy.sqliteFiles is not a setting; did you mean services.s.legacy.sqliteFile?',
  );
});

test('an invalid service name is a problem, not an unchecked service', () => {
  expect(problemsOf('services: { Session_Memory: { legacy: { endpoint: "tcp://127.0.0.1:1" } } }')).toContain(
    'services.Session_Memory: use only lowercase letters, digits and dashes in a service name',
  );
  expect(problemsOf('services: {}')).toContain('services must name at least one service, got {}');
});

test('an address that is one of our own ports is a problem', () => {
  const problems = problemsOf(`
orchestrator: { endpoint: "tcp://localhost:5580" }
services: { s: { port: 7000, legacy: { endpoint: "tcp://127.0.0.1:7000", pubEndpoint: "tcp://10.0.0.1:7000" } } }
`);
  expect(problems).toEqual([
    "orchestrator.endpoint is the proxy's own address: http.port is 5580 too",
    "services.s.legacy.endpoint is the proxy's own address: services.s.port is 7000 too",
  ]);
});

test('a desk needs tokens, or withoutSignIn on this machine', () => {
  expect(load(SERVICE).desk).toBeUndefined();
  expect(problemsOf(`${SERVICE}\ndesk: { port: 5590 }`)).toEqual([
    'desk needs operator.tokens, so that people can sign in',
  ]);
  expect(problemsOf(`${SERVICE}\ndesk: { host: 0.0.0.0, withoutSignIn: true }`)).toEqual([
    'desk.host is 0.0.0.0: set operator.tokens, or use 127.0.0.1, because the desk can be reached from other machines',
  ]);
  const tokens = 'operator: { tokens: { lead: { role: approver, token: 0123456789abcdef0 } } }';
  expect(load(`${SERVICE}\n${tokens}\ndesk: { host: 0.0.0.0 }`).desk).toEqual({
    host: '0.0.0.0',
    port: 5581,
    withoutSignIn: false,
    pages: 'all',
  });
  expect(problemsOf(`${SERVICE}\ndesk: { port: 5580, withoutSignIn: true }`)).toEqual([
    'desk.port is 5580, which is also the value of http.port: use different ports',
  ]);
});

test('in front of real services the desk needs a sign-in, even on this machine', () => {
  const desk = 'desk: { port: 5590, withoutSignIn: true }';
  expect(load(`${SERVICE}\n${desk}`).desk?.withoutSignIn).toBe(true);
  const refused = problemsOf(`${SERVICE}\n${desk}`, {}, 'real');
  expect(refused).toEqual([
    expect.stringMatching(/^desk\.withoutSignIn works only with .* set operator\.tokens/),
  ]);
  const tokens = 'operator: { tokens: { lead: { role: approver, token: 0123456789abcdef0 } } }';
  expect(problemsOf(`${SERVICE}\n${tokens}\n${desk}`, {}, 'real')).toEqual(refused);
  expect(problemsOf(`${SERVICE}\n${tokens}\ndesk: { port: 5590 }`, {}, 'real')).toEqual([]);
});

test('an address is explained by an example', () => {
  expect(problemsOf('services: { s: { legacy: { endpoint: "localhost:5574" } } }')).toEqual([
    'services.s.legacy.endpoint must be an address such as tcp://host:5570 or http://host:5571, got "localhost:5574"',
  ]);
});

test('a section that holds only comments has its defaults', () => {
  expect(load(`${SERVICE}\njournal:\n  # nothing yet`).journal.folder).toBe('./data/journal');
});

test('the environment sets only what the file omits', () => {
  const env = { DATABASE_URL: 'postgres://from-environment/x', SECRET: 'k' };
  expect(load(SERVICE, env).journal.databaseUrl).toBe('postgres://from-environment/x');
  expect(load(`${SERVICE}\njournal: { databaseUrl: "postgres://file/x" }`, env).journal.databaseUrl).toBe(
    'postgres://file/x',
  );
  expect(load(`${SERVICE}\norchestrator: { key: "\${SECRET}" }`, env).orchestrator.key).toBe('k');
  expect(problemsOf(`${SERVICE}\norchestrator: { key: "\${NOBODY}" }`)).toContain(
    'orchestrator.key needs the environment variable NOBODY, which is not set',
  );
});

test('empty values are treated as unset', () => {
  const text = `${SERVICE}\njournal: { databaseUrl: "\${NOBODY:-}" }\norchestrator: { key: "\${EMPTY:-k}" }`;
  const { journal, orchestrator } = load(text, { EMPTY: '' });
  expect(journal.databaseUrl).toBeUndefined();
  expect(orchestrator.key).toBe('k');
});

test('the environment alone can turn Unleash on, and missing settings are named', () => {
  const env = { UNLEASH_URL: 'http://unleash:4242/api', UNLEASH_API_TOKEN: 'token' };
  expect(load(SERVICE, env).rollout.unleash).toEqual({
    url: 'http://unleash:4242/api',
    apiToken: 'token',
    appName: 'crossfade',
    refreshIntervalMs: 1000,
    project: 'default',
  });
  expect(load(SERVICE, { UNLEASH_APP_NAME: 'another' }).rollout.unleash).toBeUndefined();
  expect(problemsOf(SERVICE, { UNLEASH_URL: 'http://unleash:4242/api' })).toEqual([
    'rollout.unleash.apiToken is missing: set it, or set UNLEASH_API_TOKEN in the environment',
  ]);
});

test('invalid YAML is reported with line numbers, without the text', () => {
  const problems = problemsOf('services:\n  s: { apiToken: hunter2\njournal: [');
  expect(problems.length).toBeGreaterThan(0);
  expect(problems.every((problem) => /^line \d+: /.test(problem))).toBe(true);
  expect(problems.join()).not.toContain('hunter2');
});

test('a file that does not exist is named', () => {
  expect(() => loadConfig('/nowhere/c.yaml', {})).toThrow(/nowhere/);
});

test('secrets are not quoted', () => {
  const hidden = problemsOf(`services: { s: { legacy: { endpoint: "\${PASSWORD}@host" } } }`, {
    PASSWORD: 'hunter2',
  });
  expect(hidden.join()).toContain('services.s.legacy.endpoint must be an address');
  expect(hidden.join()).not.toContain('hunter2');
  const problems = problemsOf(`${SERVICE}\njournal: { encryptionKey: hunter2 }`);
  expect(problems.join()).toContain('journal.encryptionKey');
  expect(problems.join()).not.toContain('hunter2');
});

test('a budget below the allowed message length is refused', () => {
  expect(problemsOf(`${SERVICE}\nlimits: { messageBytes: 65536, inFlightBytes: 65535 }`)).toEqual([
    'limits.inFlightBytes must be at least limits.messageBytes (65536), got 65535',
  ]);
});

test('a file in place of the journal’s folder is refused without a database URL', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'crossfade-config-')), 'journal');
  writeFileSync(file, '');
  const text = `${SERVICE}\njournal: { folder: ${file} }`;
  expect(problemsOf(text)).toEqual([`journal.folder must be a folder, but ${file} is a file`]);
  expect(problemsOf(text, { DATABASE_URL: 'postgres://a@b/c' })).toEqual([]);
});

test('the flags’ environment defaults to that of the client token', () => {
  const of = (unleash: string) =>
    load(`${SERVICE}\nrollout: { unleash: { url: "http://h:4242/api", ${unleash} } }`).rollout.unleash;
  expect(of('apiToken: "default:production.0123"')).toMatchObject({
    project: 'default',
    environment: 'production',
  });
  expect(of('apiToken: "default:production.0123", environment: staging')?.environment).toBe('staging');
  expect(of('apiToken: "0123"')?.environment).toBeUndefined();
  const given = 'apiToken: "0123", adminToken: "4567"';
  expect(problemsOf(`${SERVICE}\nrollout: { unleash: { url: "http://h:4242/api", ${given} } }`)).toEqual([
    'rollout.unleash.environment (UNLEASH_ENVIRONMENT) is required, because the client token does not name an environment',
  ]);
});

test('on a public address the operator’s API needs tokens, each unique', () => {
  const service = 'services: { session-memory: { legacy: { endpoint: "tcp://127.0.0.1:1" } } }';
  const one = 'operator: { tokens: { lead: { role: approver, token: "sixteen-letters-" } } }';
  expect(problemsOf(`http: { host: 0.0.0.0 }\n${service}`)).toEqual([
    "http.host is 0.0.0.0: set operator.tokens, or use 127.0.0.1, because the operator's API can be reached from other machines",
  ]);
  for (const host of ['127.0.0.1', 'localhost', '"::1"'])
    expect(problemsOf(`http: { host: ${host} }\n${service}`)).toEqual([]);
  expect(problemsOf(`http: { host: 0.0.0.0 }\n${one}\n${service}`)).toEqual([]);
  const problems = problemsOf(`${service}
operator:
  tokens:
    a: { role: boss, token: "sixteen-letters-" }
    b: { role: viewer, token: "sixteen-letters-" }
    c: { role: viewer, token: short }
`);
  expect(problems).toContain(
    'operator.tokens.b has the same token as operator.tokens.a: give each person an own token',
  );
  expect(problems).toContain(
    'operator.tokens.c.token must have at least 16 characters, got another value (not shown)',
  );
  expect(problems.join()).toContain('operator.tokens.a.role must be one of viewer, operator, approver');
});
