// A segmenter knows the sentence boundaries of every script. Creating one takes a millisecond.
const sentenceSegmenter = new Intl.Segmenter(undefined, { granularity: 'sentence' });
const wordSegmenter = new Intl.Segmenter(undefined, { granularity: 'word' });

/** Longest sentence. A longer text without a full stop is a table or a log. */
const SENTENCE_CHARACTERS = 500;

/** The sentences of a text, in order. A line break ends a sentence too. */
export function sentencesOf(text: string): string[] {
  return text
    .split(/[\r\n]+/)
    .flatMap((line) => [...sentenceSegmenter.segment(line)])
    .map(({ segment }) => segment.trim())
    .filter((sentence) => sentence !== '')
    .map((sentence) =>
      sentence.length > SENTENCE_CHARACTERS
        ? `${sentence.slice(0, SENTENCE_CHARACTERS).toWellFormed()}…`
        : sentence,
    );
}

/** The distinct words of a sentence, in lower case. */
export function wordsOf(sentence: string): Set<string> {
  const words = [...wordSegmenter.segment(sentence)].filter(({ isWordLike }) => isWordLike);
  return new Set(words.map(({ segment }) => segment.toLowerCase()));
}
