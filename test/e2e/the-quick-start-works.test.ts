import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { blocksOf as blocksOfGuide, examplesOf, missingIn, type Example } from '../support/guide-examples.ts';
import { startProgram, type Program } from '../support/processes.ts';
import { askOnce, createSession, freshSession } from '../support/session-agent.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
/** What the embedded default listens on; nothing of it can be chosen. */
const PORTS = [5570, 5571, 5574, 5575, 5580, 5581, 5596, 5598, 6583, 15574, 15575, 15596, 15598, 16583];
/** The promise is ten seconds on a machine of one's own; this one is shared. */
const READY_WITHIN_MS = 60_000;
/** Somebody else may be trying the same. */
const FREE_WITHIN_MS = 60_000;

/** What would lead the embedded default to another database or flag server. */
const WITHOUT = ['DATABASE_URL', 'ORCHESTRATOR_DATABASE_URL', 'UNLEASH_URL', 'UNLEASH_API_TOKEN'];

let folder: string;
let program: Program;
let readyMs: number;
let readyAtFirst: { ready: boolean; parts: Record<string, { reason?: string }> };

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'crossfade-quick-start-'));
  chmodSync(folder, 0o755);
  for (const name of ['config', 'flags'])
    cpSync(join(PROJECT, name), join(folder, name), { recursive: true });
  program = await startWhenFree();
}, 300_000);

afterAll(async () => {
  await program?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Between the look at the ports and the start somebody else may take them: then the next who is free begins. */
async function startWhenFree(patience = 3): Promise<Program> {
  await portsAreFree();
  const startedAtMs = performance.now();
  try {
    const started = await start();
    readyMs = performance.now() - startedAtMs;
    readyAtFirst = (await (await fetch('http://127.0.0.1:5580/health/ready')).json()) as typeof readyAtFirst;
    return started;
  } catch (error) {
    if (patience === 1 || !/address already in use/i.test(String(error))) throw error;
    return startWhenFree(patience - 1);
  }
}

function start(): Promise<Program> {
  return startProgram(['start'], { cwd: folder, without: WITHOUT, readyTimeoutMs: READY_WITHIN_MS });
}

async function portsAreFree(): Promise<void> {
  let taken = await takenPorts();
  await eventually(
    'the ports of the embedded default free',
    async () => {
      taken = await takenPorts();
      return taken.length === 0;
    },
    FREE_WITHIN_MS,
  ).catch((cause: unknown) => {
    const what = `Ports ${taken.join(', ')} are taken: is "npm start" running? The quick start cannot be tested beside it`;
    throw new Error(what, { cause });
  });
}

async function takenPorts(): Promise<number[]> {
  const answers = await Promise.all(PORTS.map(async (port) => ({ port, isTaken: await isTaken(port) })));
  return answers.filter((answer) => answer.isTaken).map(({ port }) => port);
}

function isTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** The processes that a process has started, and theirs. */
function descendantsOf(pid: number): number[] {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === pid)
    .map(Number);
  return children.flatMap((child) => [child, ...descendantsOf(child)]);
}

function parentOf(pid: string): number | undefined {
  try {
    // "pid (name) state parent": the name may hold anything, even a closing bracket.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined;
  }
}

test('it is ready soon, and prints what runs where and what to try', () => {
  expect(readyMs).toBeLessThan(READY_WITHIN_MS);
  const printed = program.output();
  for (const service of ['session-memory', 'contextual-memory', 'jarvis-memory', 'orchestrator'])
    expect(printed).toMatch(new RegExp(`^${service} .*://127\\.0\\.0\\.1:\\d+`, 'm'));
  expect(printed).toContain('curl -s http://127.0.0.1:5580/v1/services/session-memory');
});

/** Where there is no curl, what the README asks of it. */
const CURL = `command -v curl >/dev/null || curl() { node -e '
  const words = process.argv.slice(1).filter((word) => word !== "-s");
  const at = words.indexOf("-d");
  const [body] = at < 0 ? [] : words.splice(at, 2).slice(1);
  const method = body === undefined ? "GET" : "POST";
  fetch(words[0], { method, body }).then((answer) => answer.text()).then((text) => process.stdout.write(text));
' -- "$@"; }`;

const FIRST = "An agent's first write and read";
const DRILL = 'A fault drill';

/** The fenced blocks of a chapter of the README: commands, or what they print. */
function blocksOf(chapter: string, language: 'sh' | 'text' = 'sh'): readonly string[] {
  const [, text = ''] = readFileSync(join(PROJECT, 'README.md'), 'utf8').split(`### ${chapter}\n`);
  const [own = ''] = text.split(/^##/m);
  const fenced = new RegExp(`^\`\`\`${language}\\n(?<block>.*?)^\`\`\``, 'gms');
  return [...own.matchAll(fenced)].map(({ groups }) => groups?.['block'] ?? '');
}

/** Whether everything that the README shows was printed. */
function isPrinted(printed: string, shown: string | undefined): boolean {
  if (shown === undefined) throw new Error('the README shows less than this test knows');
  return missingIn(printed, { command: '', shown: shown.trimEnd().split('\n') }).length === 0;
}

/** Runs a block as a reader does, and gives what it printed. */
async function typed(block: string | undefined, cwd = PROJECT): Promise<string> {
  if (block === undefined) throw new Error('the README has fewer blocks than this test knows');
  const script = `${CURL}\n${CROSSFADE}\nagent=http://127.0.0.1:5580/v1/services/session-memory\n${block}`;
  const { stdout, stderr } = await promisify(execFile)('sh', ['-c', `{ ${script}\n} 2>&1 || true`], {
    cwd,
    env: { ...process.env, CROSSFADE_URL: '' },
  });
  return stdout + stderr;
}

/** As the guide writes its commands; in a folder without a package, what npm would run. */
const CROSSFADE = `crossfade() { '${process.execPath}' '${join(PROJECT, 'src', 'main.ts')}' "$@"; }`;

/** The page whose examples show the fault drill of the README, while its latch is set. */
const DRILL_PAGE = 'guard.md';

/** The other pages in the order in which their examples are run: each finds what those before it have left. */
const PAGES = [
  'flags.md',
  'agents.md',
  'monitor.md',
  'move-a-service.md',
  'comparison-rules.md',
  'backfill-and-reconcile.md',
  'repair-and-undo.md',
  'dead-letters.md',
  'lost-items.md',
  'restored-databases.md',
  'daily-report.md',
  'orchestrator.md',
  'backup.md',
];

/** What changes something is done once; what only looks is repeated until it shows what the guide shows. */
const CHANGES = /--person|--out|--into| -d |^crossfade (?:reconcile|backfill)/;
const SHOWN_WITHIN_MS = 60_000;

async function isShown(example: Example): Promise<void> {
  const { command } = example;
  let printed = '';
  const look = async (): Promise<boolean> => {
    printed = await typed(command, folder);
    return missingIn(printed, example).length === 0;
  };
  const isThere = CHANGES.test(command)
    ? await look()
    : await eventually(command, look, SHOWN_WITHIN_MS).then(
        () => true,
        () => false,
      );
  expect(isThere ? [] : missingIn(printed, example), `${command}\n${printed}`).toEqual([]);
}

test('when it reports ready, every part can be reached', () => {
  expect(readyAtFirst.ready).toBe(true);
  expect(Object.values(readyAtFirst.parts).map(({ reason }) => reason ?? '')).not.toContainEqual(
    expect.stringContaining('no connection'),
  );
});

test(
  "the README's first write, first read and fault drill work as described",
  { timeout: 300_000 },
  async () => {
    const [first, moved] = blocksOf(FIRST);
    const [drill, back] = blocksOf(DRILL);
    const [tripped] = blocksOf(DRILL, 'text');
    const seen = await typed(first);
    expect(seen).toContain('"content": "hello"');
    const [status] = blocksOf(FIRST, 'text');
    await eventually('the status that is shown', async () =>
      isPrinted(await typed('npm run -s crossfade -- status'), status),
    );
    await eventually('the lane on the orchestrator', async () =>
      (await typed('npm run -s crossfade -- explain session-memory s-1')).includes('fence: open'),
    );
    expect(await typed(moved)).toMatch(
      /read-cutover requests 100 % \(before: 0 %\)[^]*"content": "hello"[^]*orchestrator +flag on/,
    );
    const drilled = await typed(drill);
    expect(drilled).toContain('"deleted_count":1');
    await eventually(
      'the difference, and the latch',
      async () => {
        return isPrinted(await typed(drill?.split('\n').slice(1).join('\n')), tripped);
      },
      60_000,
    );
    const context = '{"action": "get_context", "session_id": "s-1"}';
    expect(await typed(`curl -s $agent -d '${context}'`)).toContain('"content": "hello"');
    for (const example of examplesOf(DRILL_PAGE)) await isShown(example);
    const [released] = blocksOfGuide(DRILL_PAGE, 'text');
    await eventually(
      'the release',
      async () => {
        return isPrinted(await typed(back), released);
      },
      120_000,
    );
  },
);

test.each(PAGES)('the examples of the guide print what it shows: %s', { timeout: 600_000 }, async (page) => {
  const examples = examplesOf(page);
  expect(examples.length).toBeGreaterThan(0);
  for (const example of examples) await isShown(example);
});

test('every page of the guide with examples is run', () => {
  const pages = readdirSync(join(PROJECT, 'deploy', 'guide')).filter((page) => page.endsWith('.md'));
  const withExamples = pages.filter((page) => examplesOf(page).length > 0);
  expect(withExamples.toSorted()).toEqual([...PAGES, DRILL_PAGE].toSorted());
});

test('agents are served at once, and their writes reach the orchestrator', async () => {
  const session = freshSession();
  const endpoint = 'tcp://127.0.0.1:5574';
  expect((await askOnce(endpoint, createSession(session))).status).toBe('success');
  const reply = await fetch('http://127.0.0.1:5580/v1/services/session-memory', {
    method: 'POST',
    body: JSON.stringify({ action: 'add_interaction', session_id: session, role: 'user', content: 'hello' }),
  });
  expect(await reply.json()).toMatchObject({ status: 'success' });
  await eventually('the write on the orchestrator', async () => {
    const answer = await fetch('http://127.0.0.1:5571/v1/batch_read', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ action: 'batch_read', session_id: session, payload: { filter: { limit: 10 } } }),
    });
    return (await answer.text()).includes('hello');
  });
});

test('a second start in the same folder is refused with the reason', async () => {
  await expect(start()).rejects.toThrow(/already|in use|another|locked|running/i);
  expect((await fetch('http://127.0.0.1:5580/health/ready')).status).toBe(200);
});

test('a part that ends by itself is reported, and agents are still served', async () => {
  const orchestrator = descendantsOf(program.pid).find((pid) =>
    readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('\0orchestrator\0'),
  );
  if (orchestrator === undefined) throw new Error('no orchestrator runs');
  process.kill(orchestrator, 'SIGKILL');
  await eventually('the word', () =>
    program.output().includes('crossfade: orchestrator: the process ended with SIGKILL'),
  );
  await eventually('the reason', async () => {
    const answer = (await (await fetch('http://127.0.0.1:5580/health/ready')).json()) as {
      ready: boolean;
      parts: Record<string, { reason?: string }>;
    };
    return answer.ready && answer.parts['orchestrator']?.reason !== undefined;
  });
  const reply = await askOnce('tcp://127.0.0.1:5574', createSession(freshSession()));
  expect(reply.status).toBe('success');
});

test('SIGTERM ends it and every process that it started', async () => {
  const processes = descendantsOf(program.pid);
  expect(processes.length).toBeGreaterThanOrEqual(1);
  const exited = once(program.child, 'exit');
  await program.stop();
  expect(await exited).toEqual([0, null]);
  await eventually('no process is left', () => processes.every((pid) => !existsSync(`/proc/${pid}`)));
  expect(await takenPorts()).toEqual([]);
});

test('all ports that are taken are named before anything is started', async () => {
  const takers = await Promise.all([5571, 5598, 15_596].map(taker));
  try {
    const started = await start().catch(String);
    expect(started).toMatch(
      /every port must be free\n.* 127\.0\.0\.1:5598: .*\n.* 127\.0\.0\.1:15596: .*\n.* 127\.0\.0\.1:5571: address already in use/,
    );
    expect(started).not.toContain('starting');
  } finally {
    for (const server of takers) server.close();
  }
});

async function taker(port: number): Promise<Server> {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
