import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkConfig, checkForWarnings } from '../../../src/cli/config-check.ts';
import { loadConfig } from '../../../src/config/config.ts';
import { blocksOf } from '../../support/guide-examples.ts';

const FLAGS = fileURLToPath(new URL('../../../flags', import.meta.url));

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'crossfade-check-'))));
afterEach(() => rmSync(folder, { recursive: true }));

function written(text: string): string {
  const file = join(folder, 'crossfade.yaml');
  writeFileSync(file, text);
  return file;
}

const checked = (text: string) => checkConfig(written(text), {});

test('every problem is listed with its setting, value, limit and line', async () => {
  const problems = await checked(
    [
      'proxy:',
      '  deadlineMs: 5',
      'http: {port: 99999}',
      `rollout: {folder: ${FLAGS}}`,
      'services:',
      '  session-memory:',
      '    legacy:',
      '      endpoint: nowhere',
    ].join('\n'),
  );
  expect(problems.map(({ key, line }) => [key, line])).toEqual([
    ['proxy.deadlineMs', 2],
    ['http.port', 3],
    ['services.session-memory.legacy.endpoint', 8],
  ]);
  expect(problems[0]?.message).toBe('proxy.deadlineMs must be at least 100, got 5');
});

test('flag files and definitions are checked too, beside wrong settings', async () => {
  const broken = join(folder, 'flags');
  mkdirSync(broken);
  writeFileSync(join(broken, 'crossfade.json'), '{');
  const problems = await checked(
    [
      'proxy: {deadlineMs: 5}',
      'rollout:',
      `  folder: ${broken}`,
      'services:',
      '  contextul-memory: {legacy: {endpoint: "tcp://127.0.0.1:1"}}',
      '  own: {definition: ./missing.ts, legacy: {endpoint: "tcp://127.0.0.1:2"}}',
    ].join('\n'),
  );
  expect(problems).toMatchObject([
    { key: 'proxy.deadlineMs', line: 1 },
    { key: 'rollout.folder', line: 3, message: expect.stringContaining('crossfade.json') as string },
    {
      key: 'services.contextul-memory',
      line: 5,
      message: expect.stringContaining('did you mean services.contextual-memory?') as string,
    },
    { key: 'services.own.definition', line: 6 },
  ]);
});

test('a usable file has no problems, and invalid YAML is reported with its place', async () => {
  const fine = `rollout: {folder: ${FLAGS}}\nservices: {session-memory: {legacy: {endpoint: "tcp://127.0.0.1:1"}}}`;
  expect(await checked(fine)).toEqual([]);
  const [first] = await checked('a: [1');
  expect(first?.message).toMatch(/^line 1: /);
});

test('a start names the line of each wrong value', () => {
  const file = written('services:\n  s:\n    port: 0\n    legacy: {endpoint: "tcp://127.0.0.1:1"}');
  expect(() => loadConfig(file, {})).toThrow('services.s.port must be at least 1, got 0 (line 3)');
});

test('the example of the guide prints what the guide shows', async () => {
  const [file = ''] = blocksOf('settings.md', 'yaml');
  const [shown] = blocksOf('settings.md', 'text');
  const problems = await checked(`${file}rollout: {folder: ${FLAGS}}\n`);
  const lines = problems.map(({ line, message }) => `crossfade.yaml:${line ?? 0}: ${message}`);
  expect([...lines, `${problems.length} problems`, ''].join('\n')).toBe(shown);
});

test('the settings of a new service print what the guide shows', async () => {
  const [text = ''] = blocksOf('add-a-service.md', 'yaml');
  const [shown] = blocksOf('add-a-service.md', 'text');
  expect(await checked(text)).toEqual([]);
  const warnings = (await warnedOf(text)).map(([, message]) => `crossfade.yaml: warning: ${String(message)}`);
  expect([...warnings, `crossfade.yaml: no problems, ${warnings.length} warning`, ''].join('\n')).toBe(shown);
});

test('the flags of a new service are complete in the guide', async () => {
  const [text = ''] = blocksOf('add-a-service.md', 'yaml');
  writeFileSync(join(folder, 'reminders.json'), blocksOf('add-a-service.md', 'json').at(-1) ?? '');
  expect(await checked(`${text}rollout: {folder: ${folder}}\n`)).toEqual([]);
  expect(await warnedOf(`${text}rollout: {folder: ${folder}}\n`)).toEqual([]);
});

const SERVICES = 'services: {session-memory: {legacy: {endpoint: "tcp://127.0.0.1:1"}}}';

test.each([
  ['proxy: {deadlineMs: 1e308}', 'proxy.deadlineMs must be at most 2147483647, got 1e+308'],
  ['shadow: {timeoutMs: 1e300}', 'shadow.timeoutMs must be at most 2147483647, got 1e+300'],
  ['guard: {keepDays: 1e300}', 'guard.keepDays must be at most 36500, got 1e+300'],
  ['journal: {retentionHours: 1e300}', 'journal.retentionHours must be at most 876000, got 1e+300'],
  [
    'journal: {spillLimitBytes: 1e308}',
    'journal.spillLimitBytes must be at most 9007199254740991, got 1e+308',
  ],
  [
    'operator: {tokens: {ann: {role: viewer, token: "                    "}}}',
    'operator.tokens.ann.token must be ASCII text without blanks at its ends, got another value (not shown)',
  ],
  [
    'guard: {signalToken: "  "}',
    'guard.signalToken must be ASCII text without blanks at its ends, got another value (not shown)',
  ],
  ['proxy: {host: "  "}', 'proxy.host must be text that is not blank, got "  "'],
  ['__proto__: {a: 1}', '__proto__ is not a setting'],
  ['proxy: {__proto__: {a: 1}}', 'proxy.__proto__ is not a setting'],
  [
    'reports: {schedule: "0 0 6 * * *"}',
    'reports.schedule must be a cron pattern such as "0 6 * * *", or off, got "0 0 6 * * *", which has 6 fields instead of 5 (minute hour day month weekday)',
  ],
  [
    'reconciliation: {full: "2030-01-01T00:00:00"}',
    'reconciliation.full must be a cron pattern such as "30 3 * * *", or off, got "2030-01-01T00:00:00", which has 1 field instead of 5 (minute hour day month weekday)',
  ],
])('an unusable value is a problem: %s', async (setting, message) => {
  const problems = await checked(`${setting}\nrollout: {folder: ${FLAGS}}\n${SERVICES}`);
  expect(problems).toMatchObject([{ line: 1, message }]);
});

test('a nickname of a schedule is usable', async () => {
  const text = `reports: {schedule: "@daily"}\nrollout: {folder: ${FLAGS}}\n${SERVICES}`;
  expect(await checked(text)).toEqual([]);
});

test('a share in a flag file that is no number is a problem', async () => {
  const strategies = [{ name: 'flexibleRollout', parameters: { rollout: '150' } }];
  flagFile([{ name: 'crossfade.session-memory.read-cutover', enabled: true, strategies }]);
  expect(await checked(`rollout: {folder: ${folder}}\n${SERVICES}`)).toMatchObject([
    {
      key: 'rollout.folder',
      message: `rollout.folder: the flag files in ${folder} cannot be used: flags.json: crossfade.session-memory.read-cutover: rollout must be a number from 0 to 100, got "150"`,
    },
  ]);
});

function flagFile(features: readonly object[]): void {
  writeFileSync(join(folder, 'flags.json'), JSON.stringify({ version: 2, features }));
}

const warnedOf = async (text: string) => {
  const warnings = await checkForWarnings(written(text), {});
  return warnings.map(({ line, message }) => [line, message]);
};

const unknownAmong = async (...names: readonly string[]) => {
  flagFile(names.map((name) => ({ name, enabled: false })));
  const warnings = await warnedOf(`rollout: {folder: ${folder}}\n${SERVICES}`);
  return warnings.filter(([, message]) => String(message).includes('Crossfade has no flag'));
};

test.each([
  ['crossfade.session-memory.dual_write', '; did you mean crossfade.session-memory.dual-write?'],
  ['crossfade.sesion-memory.dual-write', '; did you mean crossfade.session-memory.dual-write?'],
  ['crossfade.session-memory.nonsense', ''],
  ['crossfade.killswitch', '; did you mean crossfade.kill-switch?'],
  ['crossfade.on', ''],
])('a flag that Crossfade does not know is a warning: %s', async (name, hint) => {
  const message = `rollout.folder: Crossfade has no flag ${name}, so it has no effect${hint}`;
  expect(await unknownAmong(name)).toEqual([[1, message]]);
});

test('flags of other applications and services are no warning', async () => {
  const names = ['another.app', 'crossfade.jarvis-memory.dual-write', 'crossfade.kill-switch'];
  expect(await unknownAmong('crossfade.session-memory.read-cutover', ...names)).toEqual([]);
  const stored = SERVICES.replace('}}}', ', sqliteFile: ./session.db}}}');
  expect(await warnedOf(`rollout: {folder: ${FLAGS}}\n${stored}`)).toEqual([]);
});

const EXAMPLE = fileURLToPath(new URL('../../../config/examples/reminder-service.ts', import.meta.url));
const FRONT =
  'rollout: {folder: FOLDER}\nservices:\n  reminders:\n    definition: EXAMPLE\n    legacy:\n      ';

/** Settings of the example, with these members of `legacy`. */
const remindersWith = (...legacy: readonly string[]): string =>
  FRONT.replace('FOLDER', FLAGS).replace('EXAMPLE', EXAMPLE) + legacy.join('\n      ');

test('flags that a service lacks are a warning with their names', async () => {
  const text = remindersWith('endpoint: tcp://127.0.0.1:1', 'jsonFile: ./reminders.json');
  const names = ['dual-write', 'shadow-read', 'read-cutover'].map((flag) => `crossfade.reminders.${flag}`);
  expect(await warnedOf(text)).toEqual([
    [
      1,
      `rollout.folder: the files in ${FLAGS} do not define ${names.join(', ')}; a flag that is not defined is off`,
    ],
  ]);
});

test('a store that is not configured is a warning with the missing setting', async () => {
  const text = remindersWith('endpoint: tcp://127.0.0.1:1', 'jsonFile: ${REMINDERS_FILE:-}');
  expect((await warnedOf(text)).slice(1)).toEqual([
    [
      5,
      'services.reminders.legacy: with these settings the lanes cannot be read, so no lane can be copied; set services.reminders.legacy.jsonFile',
    ],
  ]);
});

test("a legacy address that is the definition's own port is a problem", async () => {
  expect(await checked(remindersWith('endpoint: tcp://localhost:5590'))).toEqual([
    {
      key: 'services.reminders.legacy.endpoint',
      line: 6,
      message:
        "services.reminders.legacy.endpoint is the proxy's own address: services.reminders.port is 5590 too",
    },
  ]);
  expect(await checked(remindersWith('endpoint: tcp://192.0.2.1:5590'))).toEqual([]);
});

test('two services with the same port and prefix are problems, beside other ones', async () => {
  const copy = join(folder, 'copy.ts');
  writeFileSync(
    copy,
    `import example from ${JSON.stringify(EXAMPLE)};\nexport default { ...example, name: 'copy' };`,
  );
  const text = `${remindersWith('endpoint: tcp://127.0.0.1:1')}\n  copy: {definition: ${copy}, legacy: {endpoint: "tcp://127.0.0.1:5590"}}\nproxy: {deadlineMs: 5}`;
  expect((await checked(text)).map(({ message }) => message)).toEqual([
    'proxy.deadlineMs must be at least 100, got 5',
    'services.copy.definition: lanes.sessionPrefix is "reminders", which is also that of services.reminders: give each service a prefix of its own',
    'services.copy.port is 5590, which is also the value of services.reminders.port: use different ports',
    "services.copy.legacy.endpoint is the proxy's own address: services.reminders.port is 5590 too",
  ]);
});

test('a section that is no mapping is one problem', async () => {
  const text = `rollout: {folder: ${FLAGS}}\nproxy: 5\ndesk: 5\nservices: {session-memory: {legacy: 5}, jarvis-memory: 5}`;
  const problems = await checked(text);
  expect(problems.map(({ key }) => key)).toEqual(
    expect.arrayContaining([
      'proxy',
      'desk',
      'services.session-memory.legacy',
      'services.jarvis-memory',
    ]) as unknown,
  );
});

test('an address of another protocol than the definition declares is a problem', async () => {
  expect(await checked(remindersWith('endpoint: http://127.0.0.1:1'))).toMatchObject([
    {
      line: 6,
      message: `services.reminders.legacy.endpoint must begin with tcp:// or ipc://, because ${EXAMPLE} declares a service that speaks ZeroMQ, got "http://127.0.0.1:1"`,
    },
  ]);
});

test('a definition under another name than its own is a problem', async () => {
  const text = remindersWith('endpoint: tcp://127.0.0.1:1').replace('reminders:', 'notes:');
  expect(await checked(text)).toEqual([
    {
      key: 'services.notes.definition',
      line: 4,
      message: `services.notes.definition ${EXAMPLE}: name must be "notes", as under services, got "reminders"`,
    },
  ]);
});

test('every wrong member of a definition is a problem with its file and path', async () => {
  const file = join(folder, 'own.ts');
  const example = JSON.stringify(EXAMPLE);
  writeFileSync(
    file,
    `import example from ${example};
const { add_reminder: add, delete_reminder: remove, list_reminders: list } = example.actions;
export default {
  ...example,
  name: 'own',
  actions: {
    add: { ...add, reverse: 'lossi' },
    remove: { ...remove, names: { find: () => [] } },
    lose: { ...add, loses: undefined, asPrimary: { plan: add.asPrimary.plan } },
    keep: { ...remove, loses: 'nothing', toLegacy: undefined },
    move: { ...add, toLegacy: remove.toLegacy, sideEffects: { what: 'a bell', raisedBy: 'legacy' } },
    never: { ...remove, reverse: 'impossible', loses: 'all', sideEffects: { what: 'a bell', raisedBy: 'none' } },
    list: { ...list, onLegacy: undefined, rules: [{ ...list.rules[0], seconds: '5' }, { kind: 'fuzzy' }] },
    other: { kind: 'reed' },
  },
  lanes: { ...example.lanes, createPaylod: () => ({}) },
};`,
  );
  const problems = await checked(
    `rollout: {folder: ${FLAGS}}\nservices: {own: {definition: ${file}, legacy: {endpoint: "tcp://127.0.0.1:1"}}}`,
  );
  const kinds =
    'prefix, equal_if_missing, set, ignore, tolerance_seconds, tolerance, default, keyed, ranking';
  expect(
    problems.map(({ key, message }) => [key, message.replace(`services.own.definition ${file}: `, '')]),
  ).toEqual(
    [
      'actions.add.reverse must be one of exact, lossy, impossible, got "lossi"',
      'actions.remove.names.atMost is missing: it must be a whole number of at least 1, or Infinity',
      'actions.lose.asPrimary.answer is missing: it must be a function',
      'actions.lose.loses is missing: it must say what legacy does not get, because reverse is lossy',
      'actions.keep.loses must be left out, because reverse is exact',
      'actions.keep.toLegacy is missing: without it the reverse of a write with names is impossible',
      'actions.move.sideEffects.largestAgeSeconds is missing: it must be a whole number of at least 1',
      'actions.move.toLegacy must be left out of a write without names, because legacy gets the request itself',
      'actions.never.sideEffects.raisedBy must be one of legacy, orchestrator, got "none"',
      'actions.never.toLegacy must be left out, because reverse is impossible',
      'actions.list.onLegacy is missing: it must be a function',
      'actions.list.rules[0].seconds must be a number, got "5"',
      `actions.list.rules[1].kind must be one of ${kinds}, got "fuzzy"`,
      'actions.other.kind must be one of write, read, passthrough, got "reed"',
      'lanes.createPaylod is not a member of lanes; did you mean createPayload?',
    ].map((message) => ['services.own.definition', message]),
  );
});

test('a definition without its members is a problem for each of them', async () => {
  const file = join(folder, 'empty.ts');
  writeFileSync(file, 'export default { actions: {} };');
  const problems = await checked(
    `rollout: {folder: ${FLAGS}}\nservices: {own: {definition: ${file}, legacy: {endpoint: "tcp://127.0.0.1:1"}}}`,
  );
  expect(
    problems.map(({ message }) => /: (\w+) is missing|: (\w+) must/.exec(message)?.slice(1).join('')),
  ).toEqual(['name', 'endpoint', 'dialect', 'lanes', 'probe', 'unmapped']);
});
