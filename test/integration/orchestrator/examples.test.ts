import { Compile } from 'typebox/compile';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openApiOf } from '../../../src/orchestrator/wire/openapi.ts';
import { PAYLOADS } from '../../../src/orchestrator/wire/payloads.ts';
import { REPLIES } from '../../../src/orchestrator/wire/replies.ts';
import { REPLY_EXCEPTIONS, REPLY_FIELDS } from '../../../src/orchestrator/wire/reply-fields.ts';
import { REQUEST_EXCEPTIONS, REQUEST_FIELDS } from '../../../src/orchestrator/wire/request-fields.ts';
import { type Answer, answerOf, createStage, type TestOrchestrator } from '../../support/orchestrator.ts';
import { type Example, examplesFor } from './examples.ts';
import { DATABASES } from '../../support/tier.ts';

const stage = createStage();
afterAll(() => stage.stop());

type Ask = (orchestrator: TestOrchestrator, example: Example) => Promise<Answer>;

function bodyOf({ action, session_id, payload, lane }: Example): string {
  return JSON.stringify({ action, session_id, payload, lane, request_id: `example-${action}` });
}

const TRANSPORTS: readonly (readonly [name: string, ask: Ask])[] = [
  ['zmq', (orchestrator, example) => orchestrator.send(bodyOf(example))],
  [
    'http',
    async ({ httpPort }, example) => {
      const address = `http://127.0.0.1:${httpPort}/v1/${example.action}`;
      const response = await fetch(address, { method: 'POST', body: bodyOf(example) });
      expect([example.action, response.status]).toEqual([example.action, 200]);
      return answerOf(await response.text());
    },
  ],
];

test('every action has an example', () => {
  const shown = new Set(examplesFor('x').map(({ action }) => action));
  expect([...shown].sort()).toEqual(Object.keys(PAYLOADS).sort());
});

describe.each(DATABASES)('the examples on %s', (kind) => {
  let orchestrator: TestOrchestrator;
  beforeAll(async () => {
    orchestrator = await stage.start(kind);
  });

  test.each(TRANSPORTS)('are answered as documented over %s, matching their schema', async (name, ask) => {
    for (const example of examplesFor(`${kind}-${name}`)) {
      const answer = await ask(orchestrator, example);
      const { action } = example;
      expect({ action, error: answer.error }).toEqual({ action, error: undefined });
      expect(answer).toMatchObject({ status: 'success', action, request_id: `example-${action}` });
      expect({ action, ...answer.data }).toMatchObject({ action, ...example.data });
      const validator = Compile(REPLIES[action]);
      expect({ action, problems: [...validator.Errors(answer.data)] }).toEqual({ action, problems: [] });
    }
  });

  test('the schema of an answer refuses other answers', async () => {
    const { data } = await orchestrator.ask('ping');
    expect(Compile(REPLIES.ping).Check(data)).toBe(true);
    expect(Compile(REPLIES.read).Check(data)).toBe(false);
  });
});

describe('the OpenAPI document', () => {
  interface Operation {
    readonly requestBody: { readonly content: Record<string, { schema: { required?: string[] } }> };
    readonly responses: Record<string, unknown>;
  }

  test('describes every action, its request, its answer and its errors', async () => {
    const { httpPort } = await stage.start('postgres');
    const response = await fetch(`http://127.0.0.1:${httpPort}/openapi.json`);
    expect(response.headers.get('content-type')).toContain('application/json');
    const document = (await response.json()) as {
      openapi: string;
      paths: Record<string, { post: Operation }>;
    };
    expect(document.openapi).toBe('3.1.0');
    const actions = Object.keys(PAYLOADS).map((action) => `/v1/${action}`);
    expect(Object.keys(document.paths)).toEqual([...actions, '/health/live', '/health/ready', '/metrics']);
    for (const path of actions) {
      const { post } = document.paths[path] ?? expect.fail(path);
      expect(Object.keys(post.responses)).toEqual(
        expect.arrayContaining(['200', '400', '404', '409', '422', '429', '503']),
      );
      expect(post.requestBody.content['application/json']?.schema).toHaveProperty('properties.payload');
    }
    const required = (action: string) =>
      document.paths[`/v1/${action}`]?.post.requestBody.content['application/json']?.schema.required;
    expect(required('create')).toEqual(['session_id', 'payload']);
    expect(required('ping')).toBeUndefined();
  });

  test('describes every field, and no missing one', () => {
    const silent: string[] = [];
    const seen = new Set<unknown>();
    const look = (node: unknown, path: string): void => {
      if (typeof node !== 'object' || node === null) return;
      for (const [key, value] of Object.entries(node)) {
        if (key === 'properties' && !Array.isArray(node))
          for (const [name, { description }] of Object.entries(value as Record<string, Described>)) {
            if (description === undefined) silent.push(`${path}: ${name}`);
            seen.add(description);
          }
        look(value, `${path}/${key}`);
      }
    };
    look(openApiOf('1'), '');
    expect(silent).toEqual([]);
    expect(seen.size).toBeGreaterThan(100);
    const tables = [REQUEST_FIELDS, REQUEST_EXCEPTIONS, REPLY_FIELDS, REPLY_EXCEPTIONS];
    const unseen = tables.flatMap((table) => Object.entries(table).filter(([, text]) => !seen.has(text)));
    expect(unseen).toEqual([]);
  });
});

interface Described {
  readonly description?: string;
}
