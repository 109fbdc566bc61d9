import { describe, expect, test } from 'vitest';
import type { MappedRead, WriteAction } from '../../../src/domain/service-definition.ts';
import { contextualMemory } from '../../../src/services/contextual-memory/contextual-memory.ts';
import { cutText, summarize, tokenCutOf } from '../../../src/services/contextual-memory/summary.ts';
import { Delivered, message } from './memory-list.ts';
import { exchangesOf } from './recordings.ts';

const RECORDED = exchangesOf('contextual_memory_pc2', 5596);
const STORED = `{"status": "error", "message": "'bool' object has no attribute 'get'"}`;

function outcomeOf(request: string, reply: string) {
  const action = contextualMemory.actions[String(message(request).fields['action'])] as WriteAction;
  return action.outcome(message(reply), message(request));
}

const entry = JSON.stringify({ action: 'add_interaction', session_id: 's', type: 'code', content: 'x' });

describe('the recorded exchanges', () => {
  test.each(RECORDED.filter(({ action }) => contextualMemory.actions[action]?.kind === 'write'))(
    '$action $note was applied',
    ({ request, response }) => {
      expect(response).toBe(STORED);
      expect(outcomeOf(request, response)).toBe('applied');
    },
  );

  test('the recorded session of 55 entries is answered byte for byte, except the time', () => {
    const recorded = RECORDED.find(({ note }) => note.startsWith('summary was generated'));
    const cut = RECORDED.find(({ note }) => note.startsWith('compression mutates'));
    const delivered = new Delivered(contextualMemory);
    const types = ['user_query', 'system_response', 'error', 'code'];
    const typeOf = (index: number): string => {
      if (index % 4 === 0) return 'user_query';
      return index % 4 === 1 ? 'system_response' : (types[index % 4] ?? '');
    };
    for (let index = 0; index < 55; index += 1) {
      delivered.write(
        JSON.stringify({
          action: 'add_interaction',
          session_id: 'big',
          type: typeOf(index),
          content: `item ${index} error database thread`,
        }),
      );
    }
    const timeless = (reply: string): string => reply.replace(/"last_updated": [\d.]+/, '"last_updated": 0');
    expect(timeless(delivered.read('{"action":"get_context","session_id":"big"}'))).toBe(
      timeless(recorded?.response ?? ''),
    );
    expect(timeless(delivered.read('{"action":"get_context","session_id":"big","max_tokens":20}'))).toBe(
      timeless(cut?.response ?? ''),
    );
  });
});

describe('outcomes', () => {
  test.each([
    [STORED, 'applied'],
    [`{"status":"error","message":"unhashable type: 'list'"}`, 'refused'],
    [`{"status":"error","message":"[Errno 28] No space left on device"}`, 'unknown'],
    ['{"status":"ok"}', 'unknown'],
    ['{}', 'unknown'],
  ])('%s', (reply, expected) => {
    expect(outcomeOf(entry, reply)).toBe(expected);
  });
});

describe('owners', () => {
  test.each([
    ['{}', 'null'],
    ['{"session_id":null}', 'null'],
    ['{"session_id":"null"}', 'null'],
    ['{"session_id":"a_b"}', 'a_b'],
    ['{"session_id":NaN}', undefined],
    ['{"session_id":42}', undefined],
    ['{"session_id":["a"]}', undefined],
    ['{"session_id":""}', undefined],
  ])('%s belongs to %s', (text, expected) => {
    expect((contextualMemory.actions['add_interaction'] as WriteAction).owner(message(text))).toBe(expected);
  });
});

describe('the effect of a read on legacy', () => {
  test.each([
    [undefined, 'nothing'],
    ['null', 'nothing'],
    ['400', 'nothing'],
    ['399', 'cuts'],
    ['20', 'cuts'],
    ['-1', 'cuts'],
    ['true', 'cuts'],
    ['20.5', 'nothing'],
    ['NaN', 'nothing'],
    ['"20"', 'nothing'],
  ])('max_tokens %s: %s', (raw, expected) => {
    const text = raw === undefined ? '{}' : `{"max_tokens":${raw}}`;
    expect((contextualMemory.actions['get_context'] as MappedRead).onLegacy(message(text))).toBe(expected);
  });

  test('no text is longer than what 400 tokens keep', () => {
    const full = (type: string, count: number, content: string) =>
      Array.from({ length: count }, () => ({ type, content, isText: true }));
    const word = `database web thread ${'x\n'.repeat(200)}`;
    const entries = [
      ...full('code', 20, word),
      ...full('user_query', 20, word),
      ...full('system_response', 11, word),
    ];
    const summary = summarize(entries);
    expect(summary?.codeContext?.length).toBeLessThan(400);
    expect(summary?.conversationSummary?.length).toBeLessThan(400);
    expect(cutText(summary?.codeContext ?? '', tokenCutOf('400'))).toBe(summary?.codeContext);
  });
});
