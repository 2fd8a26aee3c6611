/** Edits (insert, delete, replace, swap of neighbours) that turn one word into the other. */
function distance(from: string, to: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      let best = Math.min(
        (previous[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (previous[column - 1] ?? 0) + (same ? 0 : 1),
      );
      const swapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      if (swapped) best = Math.min(best, (beforePrevious[column - 2] ?? 0) + 1);
      current.push(best);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[to.length] ?? 0;
}

/** Without case and separators, so that `batchSize` and `batch-size` are as near to `batch_size` as can be. */
function plain(word: string): string {
  return word.toLowerCase().replaceAll(/[^a-z0-9.*]/g, "");
}

/** The candidate that was probably meant, or null when none is near (at most a third of the letters wrong). */
export function suggestion(word: string, candidates: Iterable<string>): string | null {
  let best: { readonly candidate: string; readonly edits: number } | null = null;
  const wanted = plain(word);
  for (const candidate of candidates) {
    const offered = plain(candidate);
    const edits = distance(wanted, offered);
    const near = edits <= Math.max(1, Math.floor(Math.max(wanted.length, offered.length) / 3));
    if (near && edits < offered.length && (best === null || edits < best.edits)) best = { candidate, edits };
  }
  return best?.candidate ?? null;
}

/** ` (did you mean \`x\`?)`, or nothing: to be put behind a message. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const found = suggestion(word, candidates);
  return found === null ? "" : `; did you mean \`${found}\`?`;
}
