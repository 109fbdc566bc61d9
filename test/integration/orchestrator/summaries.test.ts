import { createServer, type Server, type ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createStage, settingsWith, type TestOrchestrator } from '../../support/orchestrator.ts';
import { freePort } from '../../support/ports.ts';
import { DATABASES } from '../../support/tier.ts';

const stage = createStage();
afterAll(() => stage.stop());

let sessions = 0;

/** A session that holds these texts, in this order. */
async function holding(
  orchestrator: TestOrchestrator,
  texts: readonly string[],
): Promise<{ session_id: string }> {
  const session_id = `summary-${++sessions}`;
  const operations = texts.map((text, n) => ({
    action: 'create',
    payload: {
      memory_type: 'conversation',
      content: { text },
      create_session: true,
      created_at: new Date(Date.UTC(2024, 0, 1, 0, n)).toISOString(),
    },
  }));
  await orchestrator.ask('batch_write', { operations }, { session_id });
  return { session_id };
}

const TALK = [
  'The harbour bridge is closed for repairs until Friday. Good morning.',
  'Because the bridge is closed, the buses to the harbour take the tunnel.',
  'I had soup. The tunnel to the harbour is slow while the bridge repairs go on.',
  'My cat is grey.',
  'Repairs of the harbour bridge cost two million.',
  'It rained. Somebody sang.',
  'The bridge opens again on Friday, then buses leave the tunnel.',
  'Lunch is at noon.',
];

describe.each(DATABASES)('summaries on %s', (kind) => {
  let orchestrator: TestOrchestrator;
  beforeAll(async () => {
    orchestrator = await stage.start(kind);
  });

  test('are the most representative sentences, in their order', async () => {
    const { data } = await orchestrator.ask('summarize', {}, await holding(orchestrator, TALK));
    const summary = String(data['summary']);
    expect(summary).toContain('bridge');
    for (const aside of ['cat', 'soup', 'sang', 'Lunch']) expect(summary).not.toContain(aside);
    const [first, last] = ['harbour bridge is closed', 'bridge opens again'].map((words) =>
      summary.indexOf(words),
    );
    if (first !== -1 && last !== -1) expect(first).toBeLessThan(last ?? 0);
    expect(data['summarized']).toEqual({
      method: 'extractive',
      model: null,
      fell_back: false,
      memory_count: 8,
      total_count: 8,
      time_range: { start: '2024-01-01T00:00:00.000Z', end: '2024-01-01T00:07:00.000Z' },
    });
  });

  test('read at most the newest thousand memories, and report their number', async () => {
    const texts = Array.from({ length: 450 }, (_, n) => `Note ${n} about ${'words '.repeat(80)}${n}.`);
    const session = await holding(orchestrator, texts);
    const { data } = await orchestrator.ask('summarize', {}, session);
    const summarized = data['summarized'] as { memory_count: number; total_count: number };
    expect(summarized.total_count).toBe(450);
    expect(summarized.memory_count).toBeLessThan(450);
    expect(String(data['summary'])).not.toContain('Note 0 ');
  });

  test('support sentences of any script', async () => {
    const session = await holding(orchestrator, ['今天下雨。我们去看电影。', 'Ça va? Oui.']);
    const { data } = await orchestrator.ask('summarize', {}, session);
    expect(data['summary']).toBe('今天下雨。 我们去看电影。 Ça va? Oui.');
  });

  test('without memories are empty', async () => {
    const { data } = await orchestrator.ask('summarize', {}, { session_id: 'nobody' });
    expect(data).toMatchObject({ summary: '', memory_count: 0, summarized: { time_range: null } });
  });

  test('are made at the end of a session, unless the caller gives one', async () => {
    const session = await holding(orchestrator, ['The garden needs water.']);
    const sessionOf = async (envelope: { session_id: string }) =>
      (await orchestrator.ask('scan', {}, envelope)).data['session'];
    const ended = await orchestrator.ask('end_session', {}, session);
    expect(ended.data).toMatchObject({ summarized: { method: 'extractive', memory_count: 1 } });
    expect(await sessionOf(session)).toMatchObject({ summary: 'The garden needs water.' });
    expect((await orchestrator.ask('end_session', {}, session)).data).toEqual(ended.data);
    const given = await holding(orchestrator, ['The garden needs water.']);
    await orchestrator.ask('end_session', { summary: 'mine' }, given);
    expect(await sessionOf(given)).toMatchObject({ summary: 'mine', summarized: null });
    const fenced = await holding(orchestrator, ['The garden needs water.']);
    const lane = { key: fenced.session_id, generation: 1, sequence: 1 };
    await orchestrator.ask('end_session', {}, { ...fenced, lane });
    expect(await sessionOf(fenced)).toMatchObject({ summary: null, summarized: null });
  });

  test('omit characters that cannot be stored', async () => {
    const session = { session_id: `nul-${kind}` };
    const memory = {
      memory_type: 'fact',
      content: { text: 'a\0b \ud83d' },
      create_session: true,
      escape_unstorable: true,
    };
    await orchestrator.ask('create', memory, session);
    expect((await orchestrator.ask('end_session', {}, session)).status).toBe('success');
    expect((await orchestrator.ask('scan', {}, session)).data['session']).toMatchObject({
      summary: 'ab \ufffd',
    });
  });
});

describe('a model that writes summaries', () => {
  type Respond = (response: ServerResponse) => void;
  const requests: { authorization: string | undefined; body: string }[] = [];
  let endpoint: Server;
  let orchestrator: TestOrchestrator;
  let answers: readonly Respond[] = [];

  beforeAll(async () => {
    const port = await freePort();
    endpoint = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { authorization } = request.headers;
        requests.push({ authorization, body: Buffer.concat(chunks).toString() });
        (answers[requests.length - 1] ?? answers.at(-1))?.(response);
      });
    });
    await new Promise<void>((resolve) => endpoint.listen(port, '127.0.0.1', resolve));
    const { summaries } = settingsWith();
    const url = `http://127.0.0.1:${port}/v1/`;
    const chat = { ...summaries.chat, url, apiKey: 'secret', model: 'm-1', timeoutMs: 3_000 };
    orchestrator = await stage.start('postgres', { summaries: { chat } });
  });
  afterAll(leave);

  /** From now on nobody answers at the model's address. */
  async function leave(): Promise<void> {
    endpoint.closeAllConnections();
    await new Promise((resolve) => endpoint.close(resolve));
  }

  /** What a summary is when the model's endpoint answers like this, one answer after the other. */
  async function summaryWith(...responses: Respond[]) {
    answers = responses;
    requests.length = 0;
    const session = await holding(orchestrator, ['The garden needs water.', 'It has roses.']);
    return (await orchestrator.ask('summarize', {}, session)).data;
  }
  const says = (content: unknown) => (response: ServerResponse) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ choices: [{ message: { role: 'assistant', content } }] }));
  };
  const fails = (status: number) => (response: ServerResponse) => {
    response.statusCode = status;
    response.end('{"error":"no"}');
  };
  const EXTRACTED = {
    summary: 'The garden needs water. It has roses.',
    summarized: { method: 'extractive', model: null, fell_back: true },
  };

  test('gets the texts, and its answer is the summary', async () => {
    const data = await summaryWith(says(' A garden. '));
    expect(data).toMatchObject({
      summary: 'A garden.',
      summarized: { method: 'model', model: 'm-1', fell_back: false, memory_count: 2 },
    });
    expect(requests).toMatchObject([{ authorization: 'Bearer secret' }]);
    expect(JSON.parse(requests[0]?.body ?? '')).toMatchObject({
      model: 'm-1',
      messages: [{ role: 'system' }, { role: 'user', content: 'The garden needs water.\nIt has roses.' }],
    });
  });

  test('is called again after temporary failures', async () => {
    const data = await summaryWith(fails(429), fails(503), says('At last.'));
    expect(data['summary']).toBe('At last.');
    expect(requests).toHaveLength(3);
  });

  test.each([
    ['refuses', [fails(401)], 1],
    ['stays broken', [fails(500)], 3],
    ['says nothing', [says('')], 1],
    ['says no text', [says(null)], 1],
    ['is silent', [() => {}], 1],
  ])('that %s is replaced by sentences, which the answer says', async (_what, responses, asked) => {
    expect(await summaryWith(...responses)).toMatchObject(EXTRACTED);
    expect(requests).toHaveLength(asked);
  });

  test('that is unreachable is replaced by extracted sentences', async () => {
    await leave();
    expect(await summaryWith()).toMatchObject(EXTRACTED);
  });
});
