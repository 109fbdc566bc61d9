import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type Certificate,
  rootOf,
  signCertificate,
  type Statement,
} from '../../src/operator/certificate/certificate.ts';
import { resultOf, runCommand } from '../support/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'crossfade-certificate-'));
const file = (name: string): string => join(folder, name);
const AT = '2026-11-23T12:00:00.000Z';

const STATEMENT: Statement = {
  format: 'crossfade-certificate-1',
  service: 'session-memory',
  completed_at: AT,
  completed_by: { person: 'ada', reason: 'a test' },
  approvals: [],
  versions: { crossfade: '0.1.0', definition: 'd', orchestrator: '0.1.0' },
  read_only: { since: AT, clock_began_at: AT, required_seconds: 1, clock_restarts: 0 },
  root: rootOf([]),
  lanes: [],
  forgotten: { items: 0, lanes: 0 },
  backup: {
    folder,
    made_at: AT,
    manifest_sha256: '0'.repeat(64),
    lanes: 0,
    items: 0,
    restored_at: AT,
    scratch_instance: 'equal',
  },
  accepted: [],
  answers_without_legacy: [],
  no_longer_possible: [],
};

const create = (name: string) => runCommand(['certificate', 'key', 'create', name, '--folder', folder]);
const verify = (...args: readonly string[]) =>
  runCommand(['certificate', 'verify', file('certificate.json'), ...args]);

function write(certificate: Certificate): void {
  writeFileSync(file('certificate.json'), JSON.stringify(certificate));
}

beforeAll(async () => {
  await create('signer');
  await create('other');
});
afterAll(() => rmSync(folder, { recursive: true }));

const signed = (): Certificate => signCertificate(STATEMENT, readFileSync(file('signer.key'), 'utf8'));

test('a key pair is readable by its owner only, and is never overwritten', async () => {
  expect(statSync(file('signer.key')).mode & 0o777).toBe(0o600);
  const again = await create('signer');
  expect(again).toMatchObject({ code: 1 });
  expect(again.stderr).toContain('it already exists');
});

test('without a key the command says that it does not know who signed', async () => {
  write(signed());
  const { code, stdout } = await verify();
  expect(code).toBe(0);
  expect(stdout).toContain('is unchanged since it was signed');
  expect(stdout).toContain('This does not prove who signed it');
  expect(resultOf(await verify('--json'))).toMatchObject({ valid: true, proves: 'unchanged' });
});

test('with the key of the signer the command says who signed', async () => {
  write(signed());
  const { code, stdout } = await verify('--key', file('signer.pub'));
  expect({ code, stdout }).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('is valid, and signed by') as string,
  });
  expect(resultOf(await verify('--key', file('signer.pub'), '--json'))).toMatchObject({ proves: 'signer' });
});

test.each([
  ['the key of another person', () => signed(), 'other.pub', 'other_key'],
  [
    'a changed statement',
    () => ({ ...signed(), statement: { ...STATEMENT, service: 'x' } }),
    'signer.pub',
    'changed',
  ],
] as const)('%s ends with exit code 2', async (_what, made, key, fault) => {
  write(made());
  const result = await verify('--key', file(key), '--json');
  expect(result.code).toBe(2);
  expect(resultOf(result)).toMatchObject({ valid: false, proves: 'nothing', faults: [fault] });
});

test.each([
  [['certificate', 'verify', file('absent.json')], 'no such file or folder'],
  [['certificate', 'verify', file('signer.pub')], 'it is not JSON'],
  [
    ['certificate', 'verify', file('certificate.json'), '--key', file('certificate.json')],
    'not an Ed25519 public key',
  ],
] as const)('%j is an error', async (args, says) => {
  write(signed());
  const { code, stderr } = await runCommand(args);
  expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining(says) as string });
});
