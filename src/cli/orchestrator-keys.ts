import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Environment } from '../config/config.ts';
import { fileProblem } from '../shared/file-problem.ts';
import { ROLES, type Role } from '../orchestrator/access/identity.ts';
import { grantKey, type KeyRow, listKeys, revokeKey } from '../orchestrator/access/key-store.ts';
import type { Session } from '../storage/database.ts';
import { inAskedFolder } from './asked-file.ts';

const DAY_MS = 86_400_000;

interface Place {
  readonly config?: string;
  readonly folder?: string;
  readonly databaseUrl?: string;
  readonly json?: boolean;
}

interface Grant extends Place {
  readonly role: Role;
  readonly users?: readonly string[];
  readonly expires?: Date;
  readonly rate?: number;
}

/**
 * `crossfade orchestrator keys`: works on the orchestrator's database directly, so that the first key needs no key. With PostgreSQL it
 * works at any time. An embedded database belongs to one process, so stop its orchestrator first.
 */
export function createKeysCommand(env: Environment): Command {
  const keys = new Command('keys')
    .description('Manage API keys of the orchestrator, and create CURVE key pairs')
    .addHelpText('after', HELP)
    .addHelpText('afterAll', '\nExit codes: 0 success, 1 error (reason on stderr).');
  onDatabase(keys.command('create <agent>'), 'Create a key and print it once')
    .addOption(new Option('--role <role>', 'permissions of the key').choices([...ROLES]).default('agent'))
    .option(
      '--users <ids>',
      "users whose sessions the agent may also read, separated by commas; '*' for all (default: none)",
      listIn,
    )
    .option(
      '--expires <when>',
      'when the key expires: days from now (90d) or an ISO-8601 time (default: never)',
      timeIn,
    )
    .option(
      '--rate <requests>',
      "maximum requests per second (default: the limit in the orchestrator's settings)",
      wholeIn,
    )
    .action((agent: string, grant: Grant) =>
      withDatabase(env, grant, (session) => create(session, agent, grant)),
    );
  onDatabase(keys.command('list'), 'List all keys, without their secrets').action((place: Place) =>
    withDatabase(env, place, async (session) => list(await listKeys(session), place)),
  );
  onDatabase(keys.command('revoke <key-id>'), 'Revoke a key; it stops working within 2 s').action(
    (keyId: string, place: Place) => withDatabase(env, place, (session) => revoke(session, keyId, place)),
  );
  keys
    .command('curve <name>')
    .description('Create a CURVE key pair: <name>.pub (share) and <name>.key (keep secret)')
    .option('--folder <path>', 'folder for the two files', '.')
    .option('--json', 'print JSON')
    .action((name: string, { folder, json }: { folder: string; json?: boolean }) =>
      makePair(name, folder, json),
    );
  return keys;
}

const HELP = `
The first key:
  crossfade orchestrator keys create operator --role admin
Then set access.keys to required (ORCHESTRATOR_ACCESS_KEYS=required) and start the orchestrator.
A client sends its key as auth.key of the message, or in the HTTP header "Authorization: Bearer <key>".

Permissions by role:
  agent      write memories under its own name, change and delete its own memories; read sessions that it opened, that hold one of
             its memories, or that belong to a user of --users
  migration  everything, including fenced writes of lanes; no rate limit
  admin      everything`;

function onDatabase(command: Command, description: string): Command {
  return command
    .description(description)
    .option('--config <file>', 'settings file of the orchestrator (YAML)')
    .option(
      '--database-url <url>',
      "URL of the orchestrator's PostgreSQL (environment: ORCHESTRATOR_DATABASE_URL)",
    )
    .option(
      '--folder <path>',
      'folder of the embedded database; stop the orchestrator first (environment: ORCHESTRATOR_FOLDER)',
    )
    .option('--json', 'print JSON');
}

/** @throws Error with the id of the process that uses the embedded folder */
async function withDatabase(
  env: Environment,
  place: Place,
  work: (session: Session) => Promise<void>,
): Promise<void> {
  // Loaded on use, because help and completion do not need it.
  const [{ createStorage }, { createLog }, { loadOrchestratorSettings }] = await Promise.all([
    import('../orchestrator/database/storage.ts'),
    import('../telemetry/log.ts'),
    import('./orchestrator-settings.ts'),
  ]);
  const { storage: settings } = loadOrchestratorSettings({
    file: place.config,
    env,
    flags: { 'storage.folder': place.folder, 'storage.databaseUrl': place.databaseUrl },
  });
  const log = createLog({ name: 'orchestrator', level: 'silent', pretty: false });
  const storage = createStorage({ settings, log, onStatement: () => undefined });
  try {
    await inAskedFolder({ option: 'storage.folder (--folder)', path: settings.folder }, () =>
      storage.start(),
    );
    await work(storage.database);
  } finally {
    await storage.stop();
  }
}

async function create(session: Session, agent: string, grant: Grant): Promise<void> {
  const { role, users = [], expires, rate, json } = grant;
  if (agent.length > 64) throw new Error(`invalid agent name of ${agent.length} characters: use at most 64`);
  const key = await grantKey(session, { agent, role, users, requestsPerSecond: rate, expiresAt: expires });
  if (json === true) {
    print(
      JSON.stringify({ key_id: key.keyId, key: key.text, agent, role, users, expires_at: expires ?? null }),
    );
    return;
  }
  print(key.text);
  process.stderr.write(
    `Key ${key.keyId} of ${agent}, role ${role}. It is shown only once, because the database stores only its digest.\n`,
  );
}

async function revoke(session: Session, keyId: string, { json }: Place): Promise<void> {
  const row = await revokeKey(session, keyId);
  if (row === undefined)
    throw new Error(`unknown key "${keyId}": crossfade orchestrator keys list shows all keys`);
  print(json === true ? JSON.stringify(row) : `Revoked key ${keyId} of ${row.agent}.`);
}

const HEADINGS = ['KEY', 'AGENT', 'ROLE', 'USERS', 'STATE', 'CREATED', 'LAST USED'];

function list(rows: readonly KeyRow[], { json }: Place): void {
  if (json === true) {
    print(JSON.stringify(rows));
    return;
  }
  if (rows.length === 0) {
    print('No keys yet: crossfade orchestrator keys create <agent>');
    return;
  }
  const table = [HEADINGS, ...rows.map(cellsOf)];
  const widths = HEADINGS.map((_, column) => Math.max(...table.map((cells) => cells[column]?.length ?? 0)));
  for (const cells of table)
    print(
      cells
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    );
}

function cellsOf(row: KeyRow): string[] {
  const { key_id: id, agent, role, users, created_at: created, last_used_at: used } = row;
  return [id, agent, role, users.join(',') || '-', stateOf(row), minuteOf(created), minuteOf(used)];
}

function stateOf({ revoked_at: revoked, expires_at: expires }: KeyRow): string {
  if (revoked !== null) return `revoked ${minuteOf(revoked)}`;
  if (expires === null) return 'valid';
  return `${expires.getTime() <= Date.now() ? 'expired' : 'valid until'} ${minuteOf(expires)}`;
}

function minuteOf(time: Date | null): string {
  return time === null ? '-' : `${time.toISOString().slice(0, 16)}Z`;
}

async function makePair(name: string, folder: string, json: boolean | undefined): Promise<void> {
  const { curveKeyPair } = await import('zeromq');
  const { publicKey, secretKey } = curveKeyPair();
  const [publicFile, secretFile] = [join(folder, `${name}.pub`), join(folder, `${name}.key`)];
  // Never overwrite an existing pair, because it may be in use.
  await writeNew(secretFile, `${secretKey}\n`, 0o600);
  await writeNew(publicFile, `${publicKey} ${name}\n`, 0o644);
  print(
    json === true
      ? JSON.stringify({ public_key: publicKey, public_file: publicFile, secret_file: secretFile })
      : `Created ${publicFile} (share) and ${secretFile} (keep secret). Public key: ${publicKey}`,
  );
}

async function writeNew(path: string, text: string, mode: number): Promise<void> {
  try {
    await writeFile(path, text, { mode, flag: 'wx' });
  } catch (cause) {
    throw new Error(`--folder: cannot write ${path}: ${fileProblem(cause)}`, { cause });
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function listIn(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function wholeIn(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text))
    throw new InvalidArgumentError(`must be a whole number of at least 1, got "${text}"`);
  return Number(text);
}

function timeIn(text: string): Date {
  const [, days] = /^(\d{1,5})d$/.exec(text) ?? [];
  const time = days === undefined ? new Date(text) : new Date(Date.now() + Number(days) * DAY_MS);
  if (Number.isNaN(time.getTime()) || time.getTime() <= Date.now())
    throw new InvalidArgumentError(
      `must be days from now (90d) or an ISO-8601 time in the future, got "${text}"`,
    );
  return time;
}
