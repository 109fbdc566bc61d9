import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import reminders from '../../../config/examples/reminder-service.ts';
import { createLegacyAccess } from '../../../src/backends/legacy-store.ts';
import { createAgent } from '../../../src/sandbox/agent.ts';
import { systemClock } from '../../../src/shared/clock.ts';
import { createStage, type TestOrchestrator } from '../../support/orchestrator.ts';
import { freePorts } from '../../support/ports.ts';
import { createReminders } from '../../support/reminder-stand-in.ts';
import { DATABASES } from '../../support/tier.ts';
import { createPlayground } from '../sandbox/playground.ts';
import { FlippedService } from './flipped-service.ts';
import { flip, GENERATED, KINDS, type Service } from './flipped-stage.ts';
import { withoutGenerated } from './generated-values.ts';

const LONG = 'ñ😀'.repeat(40);

/** Values as JSON text: of every type, empty, huge, and in unusual spellings. */
const VALUES: readonly string[] = [
  'null',
  'true',
  'false',
  '0',
  '-0',
  '0.0',
  '-0.0',
  '0e5',
  '1e-400',
  '1',
  '1.0',
  '1.5e3',
  '-2.50',
  '1e16',
  '0.1e-6',
  '1e400',
  'NaN',
  'Infinity',
  '-Infinity',
  '9223372036854775807',
  '9223372036854775808',
  '-9223372036854775808',
  '-9223372036854775809',
  '1'.repeat(400),
  '""',
  '" "',
  '"0"',
  '"plain"',
  String.raw`"\u00f1 ñ 😀 \ud83d\ude00"`,
  String.raw`"a\u0000b\u001f\u007f\u2028\u2029"`,
  String.raw`"\"quoted\" \\ \/ \b\f\n\r\t"`,
  `"${LONG}"`,
  '[]',
  '[ ]',
  '[null]',
  '[1, "a", [2.0, {}]]',
  '{}',
  '{ }',
  '{"a": 1, "b": [true, null], "a": 2}',
  String.raw`{"\u00f1": "ñ", "tags": ["t", 5, "", "conversation"]}`,
  '{"legacy_value": 1, "legacy_timestamp": "x"}',
];

/** As text, SQLite writes it with 15 digits in the original's version, and with 17 in that of the stand-in. */
const SPELLED_BY_VERSION = '1e16';

const SESSION_REQUESTS: readonly string[] = [
  ...VALUES.filter((value) => value !== SPELLED_BY_VERSION).flatMap((value, index) => [
    `{"action": "create_session", "session_id": "u${index}", "user_id": ${value}, "request_id": "r"}`,
    `{"action": "create_session", "session_id": "u${index}", "request_id": ${value}}`,
    `{"action": "create_session", "session_id": "m${index}", "metadata": ${value}}`,
    `{"action": "add_interaction", "session_id": "m${index}", "role": ${value}, "content": "x", "request_id": ${value}}`,
    `{"action": "add_interaction", "session_id": "m${index}", "role": "user", "content": ${value}}`,
    `{"action": "add_interaction", "session_id": "u${index}", "role": "user", "content": "x", "metadata": ${value}}`,
    `{"action": "get_context", "session_id": "u${index}", "request_id": ${value}}`,
    `{"action": "get_context", "session_id": "m${index}"}`,
  ]),
  // A session ends and begins again.
  '{"action": "add_interaction", "session_id": "life", "role": "user", "content": "too early"}',
  '{"action": "clear_session", "session_id": "life"}',
  '{"action": "delete_session", "session_id": "life", "request_id": 5.0}',
  '{"action": "create_session", "session_id": "life", "metadata": {"n": 1}}',
  '{"action": "add_interaction", "session_id": "life", "role": "user", "content": "first"}',
  '{"action": "create_session", "session_id": "life"}',
  '{"action": "clear_session", "session_id": "life", "request_id": [1,2]}',
  '{"action": "get_context", "session_id": "life"}',
  '{"action": "add_interaction", "session_id": "life", "role": "user", "content": "second"}',
  '{"action": "delete_session", "session_id": "life"}',
  '{"action": "delete_session", "session_id": "life"}',
  '{"action": "add_interaction", "session_id": "life", "role": "user", "content": "too late"}',
  '{"action": "get_context", "session_id": "life"}',
  '{"action": "create_session", "session_id": "life", "user_id": "another"}',
  '{"action": "add_interaction", "session_id": "life", "role": "user", "content": "third"}',
  '{"action": "get_context", "session_id": "life"}',
  '{"action": "create_session", "session_id": "life", "user_id": "a third"}',
  // Ids and missing members.
  ...[LONG, ' ', 'a/b', 'user:1', 'ü', `'"\\`].flatMap((id) => [
    JSON.stringify({ action: 'create_session', session_id: id }),
    JSON.stringify({ action: 'create_session', session_id: id, request_id: id }),
    JSON.stringify({ action: 'add_interaction', session_id: id, role: id, content: id }),
    JSON.stringify({ action: 'get_context', session_id: id }),
  ]),
  '{"action": "add_interaction", "session_id": "life"}',
  '{"action": "add_interaction", "session_id": "life", "role": "user"}',
  '{"action": "add_interaction", "session_id": "life", "content": "x"}',
  '{"action": "add_interaction", "session_id": "nobody"}',
  '{"action": "add_interaction", "session_id": "nobody", "role": "user", "content": {}}',
  '{"action": "add_interaction", "session_id": "nobody", "role": "user", "content": [1]}',
  '{"action":"add_interaction","session_id":"nobody","session_id":"life","role":"user","content":"last key"}',
  '{"action": "get_context", "session_id": "life"}',
];

const CONTEXTUAL_REQUESTS: readonly string[] = [
  ...VALUES.flatMap((value, index) => [
    `{"action": "add_interaction", "session_id": "c${index}", "type": ${value}, "content": ${value}, "metadata": ${value}}`,
    `{"action": "record_decision", "session_id": "c${index}", "decision": ${value}}`,
    `{"action": "get_context", "session_id": "c${index}"}`,
  ]),
  '{"action": "add_interaction", "session_id": "e"}',
  '{"action": "record_decision", "session_id": "e"}',
  '{"action": "get_context", "session_id": "e"}',
  JSON.stringify({ action: 'record_decision', session_id: LONG, decision: LONG }),
  JSON.stringify({ action: 'get_context', session_id: LONG }),
];

const JARVIS_REQUESTS: readonly string[] = [
  ...VALUES.flatMap((value, index) => [
    `{"action": "add_memory", "user_id": "j${index}", "memory": ${value}}`,
    `{"action": "add_memory", "user_id": "j${index}", "memory": {"type": ${value}, "text": ${value}}}`,
    `{"action": "get_memories", "user_id": "j${index}"}`,
  ]),
  ...[
    '"reminder"',
    '["reminder"]',
    '{"type": "Reminder"}',
    '{"type": "reminder"}',
    '{"type": "x", "type": "reminder"}',
  ].map((memory) => `{"action": "add_memory", "memory": ${memory}, "user_id": "r"}`),
  String.raw`{"action": "add_memory", "memory": {"\u0074ype": "remind\u0065r"}, "user_id": "r"}`,
  '{"action": "get_memories", "user_id": "r"}',
  '{"action": "add_memory", "user_id": "r"}',
  '{"action": "clear_memories", "user_id": "r"}',
  '{"action": "clear_memories", "user_id": "r"}',
  '{"action": "get_memories", "user_id": "r"}',
  '{"action": "clear_memories"}',
  '{"action": "add_memory", "memory": "after"}',
  '{"action": "get_memories"}',
  JSON.stringify({ action: 'add_memory', user_id: LONG, memory: LONG }),
  JSON.stringify({ action: 'get_memories', user_id: LONG }),
];

const REQUESTS: Readonly<Record<Service, readonly string[]>> = {
  'session-memory': SESSION_REQUESTS,
  'contextual-memory': CONTEXTUAL_REQUESTS,
  'jarvis-memory': JARVIS_REQUESTS,
};

const add = (reminder: string): string =>
  `{"action": "add_reminder", "user_id": "ann", "reminder": ${reminder}}`;
const remove = (index: string): string =>
  `{"action": "delete_reminder", "user_id": "ann", "index": ${index}}`;
const LIST = '{"action": "list_reminders", "user_id": "ann"}';

const FAST = { fsync: false };

describe.each(DATABASES)('with the orchestrator on %s as primary', (kind) => {
  const stage = createStage();
  let orchestrator: TestOrchestrator;

  beforeAll(async () => {
    orchestrator = await stage.start(kind);
  });

  afterAll(() => stage.stop());

  test.each(Object.keys(REQUESTS) as Service[])(
    '%s replies as legacy does to unusual values',
    async (service) => {
      await using playground = createPlayground();
      await using beside = createPlayground();
      const { flipped, access } = await flip(playground, orchestrator, { service, standIn: FAST });
      const standIn = await beside.start(KINDS[service].create(await freePorts(2), beside.dataFolder, FAST));
      const agent = beside.connect(standIn);
      const differing: unknown[] = [];
      for (const request of REQUESTS[service]) {
        const theirs = withoutGenerated(await beside.ask(agent, request), GENERATED[service]);
        const { reply, by } = await flipped.ask(request);
        const ours = withoutGenerated(reply, GENERATED[service]);
        if (ours !== theirs || by !== 'orchestrator') differing.push({ request, by, ours, theirs });
      }
      expect(differing).toEqual([]);
      expect(flipped.notReversed).toEqual([]);
      for (const [owner, stores] of Object.entries(await flipped.stores()))
        expect(stores.orchestrator, owner).toEqual(stores.legacy);
      await access.stop();
    },
  );

  test('a write that names an item by its place deletes that item on both sides', async () => {
    await using playground = createPlayground();
    const [port = 0, portBeside = 0] = await freePorts(2);
    const file = (name: string): string => join(playground.dataFolder, name);
    const [standIn, beside] = [
      createReminders(port, file('r.json')),
      createReminders(portBeside, file('b.json')),
    ];
    await Promise.all([standIn.start(), beside.start()]);
    const [agent, agentBeside] = [port, portBeside].map((one) =>
      createAgent({ endpoint: `tcp://127.0.0.1:${one}` }),
    );
    const legacy = async (text: string): Promise<string> => String(await agent?.call(text));
    const access = createLegacyAccess({ clock: systemClock, jsonPath: file('r.json') });
    const flipped = new FlippedService({ definition: reminders, orchestrator, legacy, access });
    const generated = { 'reminders[].timestamp': /^\d{10}\.\d{1,7}$/ };
    const ask = async (request: string): Promise<void> => {
      const theirs = String(await agentBeside?.call(request));
      const { reply } = await flipped.ask(request);
      expect(withoutGenerated(reply, generated), request).toBe(withoutGenerated(theirs, generated));
    };
    for (const reminder of ['"tea"', '"milk"', '"tea"', '1000', '"tea"']) await ask(add(reminder));
    for (const index of ['7', '-1', '"0"', 'null', '0.5', '[0]']) await ask(remove(index));
    await ask(LIST);
    await ask(remove('2'));
    // Another program deletes on legacy, so the place of the next item differs there.
    await legacy(remove('0'));
    await ask(remove('2'));
    expect(standIn.of('ann')).toEqual(['milk', 'tea']);
    await ask(LIST);
    // That item is gone from legacy, and the delete counts as done.
    await ask(remove('0'));
    expect(standIn.of('ann')).toEqual(['milk', 'tea']);
    await ask(LIST);
    agent?.close();
    agentBeside?.close();
    await Promise.all([standIn.stop(), beside.stop(), access.stop()]);
  });
});
