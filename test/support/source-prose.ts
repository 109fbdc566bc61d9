import { parseSync, Visitor, type Expression, type Node } from 'oxc-parser';
import { lineFinder } from '../shape/source.ts';
import { paragraphsOf, spoken, type Paragraph } from './prose.ts';

/** Replaces a value that only the running program knows. */
const VALUE = '§';

const TEST_FUNCTIONS: readonly string[] = ['test', 'describe', 'it'];

/** SQL and style sheets have words of their own. */
const IS_CODE =
  /^\s*(?:select|with (?:recursive )?\w+ (?:\(\w+\) )?as|update [\w§]+ (?:\w+ )?set|delete from|insert into|alter table|create (?:table|role|index|extension))\b|\bas (?:materialized )?\(\s*(?:select|update|delete|insert)\b|\{[\w-]+:/;

/** A line of a comment that is a diagram or an example, as in Markdown. */
const IS_INDENTED = /^\s*\* {5,}\S/;

/** The comments of a TypeScript file. A tag, such as `@throws`, begins a paragraph. */
export function commentsOfTypeScript(source: string): readonly Paragraph[] {
  const { comments } = parseSync('source.ts', source);
  const lineOf = lineFinder(source);
  const lines: string[] = Array.from({ length: source.split('\n').length }, () => '');
  for (const { value, start } of comments)
    for (const [index, line] of value.split('\n').entries())
      lines[lineOf(start) + index] = IS_INDENTED.test(line) ? '' : line.replace(/^[\s*]+/, '');
  return paragraphsOf(lines).flatMap(({ line, text }) =>
    text.split(/ (?=@\w)/).map((part) => ({ line, text: spoken(part) })),
  );
}

/** The comments of a TypeScript file, and its strings of more than one word that are for people. */
export function proseOfTypeScript(source: string): readonly Paragraph[] {
  const { program } = parseSync('source.ts', source);
  const lineOf = lineFinder(source);
  const found = [...commentsOfTypeScript(source)];
  const add = (node: Expression): void => {
    const text = textOf(node) ?? '';
    if (/\p{L} +[\p{L}§]/u.test(text) && !IS_CODE.test(text))
      found.push({ line: lineOf(node.start) + 1, text: spoken(text) });
  };
  new Visitor({ Literal: add, TemplateLiteral: add }).visit(program);
  return found;
}

/** The titles of the tests of a file, and of their groups. A value in a title counts as one character. */
export function titlesOf(source: string): readonly Paragraph[] {
  const { program } = parseSync('source.test.ts', source);
  const lineOf = lineFinder(source);
  const found: Paragraph[] = [];
  new Visitor({
    CallExpression({ callee, arguments: [title] }) {
      const text = isTestFunction(callee) && title !== undefined ? textOf(title) : undefined;
      if (text !== undefined) found.push({ line: lineOf(callee.start) + 1, text });
    },
  }).visit(program);
  return found;
}

/** `test`, also as in `test.skipIf(…)` and `test.each(…)`. */
function isTestFunction(node: Node): boolean {
  if (node.type === 'Identifier') return TEST_FUNCTIONS.includes(node.name);
  if (node.type === 'MemberExpression') return isTestFunction(node.object);
  return node.type === 'CallExpression' && isTestFunction(node.callee);
}

function textOf(node: Node): string | undefined {
  if (node.type === 'Literal') return typeof node.value === 'string' ? node.value : undefined;
  if (node.type === 'TemplateLiteral')
    return node.quasis.map(({ value }) => value.cooked ?? value.raw).join(VALUE);
  if (node.type !== 'BinaryExpression' || node.operator !== '+') return undefined;
  return (textOf(node.left) ?? VALUE) + (textOf(node.right) ?? VALUE);
}
