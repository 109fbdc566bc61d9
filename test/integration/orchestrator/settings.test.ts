import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadOrchestratorSettings } from '../../../src/cli/orchestrator-settings.ts';
import { defaultsOf, SettingsSchema } from '../../../src/orchestrator/settings.ts';

const EXAMPLE = new URL('../../../config/orchestrator.example.yaml', import.meta.url).pathname;

interface Given {
  readonly text?: string;
  readonly env?: Record<string, string>;
  readonly flags?: Record<string, string>;
}

function load({ text, env = {}, flags = {} }: Given) {
  const file = join(mkdtempSync(join(tmpdir(), 'crossfade-settings-')), 'o.yaml');
  if (text !== undefined) writeFileSync(file, text);
  return loadOrchestratorSettings({ file: text === undefined ? undefined : file, env, flags });
}

function messageOf(given: Given): string {
  try {
    load(given);
  } catch (error) {
    return (error as Error).message;
  }
  return '';
}

function pathsOf(schema: object, path: readonly string[] = []): string[][] {
  const { properties } = schema as { properties?: Record<string, object> };
  return Object.entries(properties ?? {}).flatMap(([key, inner]) =>
    'properties' in inner ? pathsOf(inner, [...path, key]) : [[...path, key]],
  );
}

test('without settings the defaults apply', () => {
  const settings = load({});
  expect(settings).toEqual(defaultsOf(SettingsSchema));
  expect(settings).toMatchObject({
    listen: { host: '127.0.0.1', port: 5570, httpPort: 5571 },
    storage: { batchSize: 400, partitioned: false },
    cache: { enabled: true },
  });
});

test('the example is usable, and explains every setting with its default', () => {
  expect(loadOrchestratorSettings({ file: EXAMPLE, env: {} })).toEqual(defaultsOf(SettingsSchema));
  const text = readFileSync(EXAMPLE, 'utf8');
  const values: unknown = parse(text);
  const paths = pathsOf(SettingsSchema);
  expect(paths.length).toBeGreaterThan(40);
  for (const path of paths) {
    const name = path.join('.');
    const value = path.reduce<unknown>(
      (tree, key) => (tree as Record<string, unknown> | undefined)?.[key],
      values,
    );
    // Without a default it stands there as a comment, in its own section.
    const section = text.slice(text.indexOf(`\n${path[0]}:`));
    if (value === undefined) expect(section, name).toMatch(new RegExp(`^ +# ${path.at(-1)}: \\S`, 'm'));
  }
});

test('the command line overrides the environment, which overrides the file', () => {
  const text = 'listen: { port: 6000, httpPort: 6001, host: localhost }';
  const env = { ORCHESTRATOR_PORT: '6100', ORCHESTRATOR_HTTP_PORT: '6101', REDIS_URL: 'redis://h:1' };
  const settings = load({ text, env, flags: { 'listen.port': '6200' } });
  expect(settings.listen).toMatchObject({ host: 'localhost', port: 6200, httpPort: 6101 });
  expect(settings.cache.redisUrl).toBe('redis://h:1');
});

test('an empty variable counts as unset, and a file can use variables', () => {
  const text = 'storage: { databaseUrl: "${PG:-}", folder: "${WHERE}" }';
  const { storage } = load({ text, env: { ORCHESTRATOR_DATABASE_URL: '', WHERE: '/data' } });
  expect(storage.databaseUrl).toBeUndefined();
  expect(storage.folder).toBe('/data');
  expect(messageOf({ text })).toContain('storage.folder needs the environment variable WHERE');
});

test('all problems are reported at once, each with its key and value', () => {
  const message = messageOf({
    text: `
storage: { poolSize: 1, batchSize: 501, readOnlyRole: "drop table", databseUrl: x }
cache: { maxBytes: much, enabled: maybe }
telemetry: { logLevel: loud }
shelter: {}
`,
    env: { ORCHESTRATOR_PORT: 'soon', ORCHESTRATOR_HTTP_PORT: '70000', REDIS_URL: 'http://h' },
  });
  for (const problem of [
    'storage.poolSize must be at least 2, got 1',
    'storage.batchSize must be at most 500, got 501',
    'storage.readOnlyRole must be a name of lowercase letters, digits and underscores, got "drop table"',
    'storage.databseUrl is not a setting; did you mean storage.databaseUrl?',
    'cache.maxBytes must be a whole number, got "much"',
    'cache.enabled must be a boolean, got "maybe"',
    'cache.redisUrl must be an address such as redis://host:6379, got another value (not shown)',
    'telemetry.logLevel must be one of trace, debug, info, warn, error, silent, got "loud"',
    'shelter is not a setting',
    'listen.port must be a whole number, got "soon"',
    'listen.httpPort must be at most 65535, got 70000',
  ])
    expect(message).toContain(`  - ${problem}\n`.trimEnd());
  expect(message).toMatch(/^Configuration .*o\.yaml is not usable:\n/);
});

test('an address with a password is never quoted', () => {
  const message = messageOf({ env: { ORCHESTRATOR_DATABASE_URL: 'mysql://root:secret@h/d' } });
  expect(message).toContain('storage.databaseUrl must be an address such as postgres://user@host/database');
  expect(message).not.toContain('secret');
});

test('two listeners on one port are refused, and so is a public port without keys', () => {
  expect(messageOf({ text: 'listen: { port: 6000, httpPort: 6000 }' })).toContain(
    'listen.port and listen.httpPort are both 6000',
  );
  expect(messageOf({ env: { ORCHESTRATOR_HOST: '0.0.0.0' } })).toContain('got "0.0.0.0"');
});

test.each([
  ['storage: { purgeEveryMs: 1e308 }', 'storage.purgeEveryMs must be at most 2147483647, got 1e+308'],
  ['embeddings: { idleSeconds: 1e300 }', 'embeddings.idleSeconds must be at most 2147483, got 1e+300'],
  ['cache: { maxBytes: 1e300 }', 'cache.maxBytes must be at most 9007199254740991, got 1e+300'],
  ['__proto__: { a: 1 }', '__proto__ is not a setting'],
])('a value that cannot be meant is refused: %s', (text, problem) => {
  expect(messageOf({ text })).toContain(problem);
});
