import { expect, test } from 'vitest';
import { chatBody } from '../../../src/operator/chat-message.ts';

const LONG = {
  title: 't'.repeat(200),
  lines: ['l'.repeat(4_000)],
  facts: Array.from({ length: 12 }, (_, index) => [`fact ${index}`, 'v'.repeat(3_000)] as const),
};

test('text beyond Slack’s limits is cut', () => {
  const { blocks } = JSON.parse(chatBody('slack', LONG)) as {
    blocks: { text?: { text: string }; fields?: { text: string }[] }[];
  };
  expect(blocks[0]?.text?.text).toHaveLength(150);
  expect(blocks[1]?.text?.text).toHaveLength(3_000);
  expect(blocks[2]?.fields).toHaveLength(10);
  expect(Math.max(...(blocks[2]?.fields ?? []).map(({ text }) => text.length))).toBe(2_000);
});

test('a message without text, facts and link has no empty parts', () => {
  const bare = { title: 'x', lines: [], facts: [] };
  expect(JSON.parse(chatBody('slack', bare))).toEqual({
    text: 'x',
    blocks: [{ type: 'header', text: { type: 'plain_text', text: 'x' } }],
  });
  expect(chatBody('teams', bare)).not.toContain('FactSet');
});
