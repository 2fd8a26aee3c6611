/** A round's pipeline as the product names its parts. */
export interface PipelineNames {
  readonly pipeline: string;
  readonly schema: string;
  readonly capture: string;
  readonly delivery: string;
  /** For LIKE: the slot's name ends in a hash. */
  readonly slotPattern: string;
}

export function pipelineNames(round: number): PipelineNames {
  const pipeline = `chaos-${round}`;
  return {
    pipeline,
    schema: `chaos_${round}`,
    capture: `${pipeline}.origin`,
    delivery: `${pipeline}.all.copy`,
    slotPattern: `datatrace_chaos_${round}_origin%`,
  };
}
