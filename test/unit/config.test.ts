import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ConfigSchema } from '../../src/config-schema.ts';
import { ConfigError, loadConfig } from '../../src/config.ts';

const root = new URL('../../config/', import.meta.url).pathname;

function load(text: string, env: Record<string, string> = {}) {
  const file = join(mkdtempSync(join(tmpdir(), 'crossfade-config-')), 'c.yaml');
  writeFileSync(file, text);
  return loadConfig(file, env);
}

function problemsOf(text: string, env: Record<string, string> = {}): readonly string[] {
  try {
    load(text, env);
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

test('all problems come at once, each with its key and its value', () => {
  const problems = problemsOf(`
http: { port: 5574 }
proxy: { deadlineMs: soon, hots: x }
telemetry: { logLevel: loud }
services:
  a: { port: 5574, timeZone: Mars/Olympus, legacy: { endpoint: "tcp://h:1" } }
  b: { legacy: { inFlight: -1 } }
`);
  expect(problems).toContain('proxy.deadlineMs must be a whole number, got "soon"');
  expect(problems).toContain('proxy.hots is no setting');
  expect(problems).toContain('services.a.port is 5574, which http.port uses too');
  expect(problems).toContain('services.a.timeZone must be an IANA time zone, got "Mars/Olympus"');
  expect(problems).toContain('services.b.legacy.inFlight must be at least 0, got -1');
  expect(problems).toContain('services.b.legacy.endpoint is missing');
  expect(problems.some((problem) => problem.startsWith('telemetry.logLevel must be one of'))).toBe(true);
});

test('the environment fills in what the file leaves open, and never the other way round', () => {
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

test('secrets are not quoted', () => {
  const problems = problemsOf(`${SERVICE}\njournal: { encryptionKey: hunter2 }`);
  expect(problems.join()).toContain('journal.encryptionKey');
  expect(problems.join()).not.toContain('hunter2');
});
