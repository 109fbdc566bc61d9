import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../tiers.ts';

/** A command of the guide, and what the guide says that it prints. */
export interface Example {
  readonly command: string;
  /** Lines in order. `…` stands for any text, and a line of its own for any lines. */
  readonly shown: readonly string[];
}

const PROMPT = '$ ';

/** The commands of the `console` blocks of a page, in order. */
export function examplesOf(page: string): readonly Example[] {
  return blocksOf(page, 'console').flatMap((block) => {
    const [, ...typed] = `\n${block.trimEnd()}`.split(`\n${PROMPT}`);
    return typed.map((text) => {
      const [command = '', ...shown] = text.split('\n');
      return { command, shown };
    });
  });
}

/** The fenced blocks of one language of a page of the guide. */
export function blocksOf(page: string, language: string): readonly string[] {
  const text = readFileSync(join(ROOT, 'deploy', 'guide', page), 'utf8');
  const fenced = new RegExp(`^\`\`\`${language}\\n(?<block>.*?)^\`\`\``, 'gms');
  return [...text.matchAll(fenced)].map(({ groups }) => groups?.['block'] ?? '');
}

/** What of it was not printed, line by line in its order. Numbers may be others, and columns wider. */
export function missingIn(printed: string, { shown }: Example): readonly string[] {
  const lines = printed.split('\n');
  let at = 0;
  return shown.filter((line) => {
    if (line.trim() === '' || line.trim() === '…') return false;
    const pattern = patternOf(line);
    const found = lines.findIndex((one, index) => index >= at && pattern.test(one));
    if (found >= 0) at = found + 1;
    return found < 0;
  });
}

const ANY = /(?<mark>…|\s+|\d+(?:[.,]\d+)*)/;

function patternOf(line: string): RegExp {
  const parts = line
    .trim()
    .split(ANY)
    .map((part) => {
      if (part === '…') return '.*';
      if (/^\s+$/.test(part)) return '\\s+';
      return /^\d/.test(part) ? '\\d+(?:[.,]\\d+)*' : part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
    });
  return new RegExp(`^\\s*${parts.join('')}\\s*$`);
}
