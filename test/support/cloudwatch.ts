/**
 * A small model of how CloudWatch evaluates an alarm: M of N data points, missing data by each of its four treatments, the
 * evaluation range that is longer than N, and the few functions of metric math that the alarms here use.
 *
 * @see https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
 */

/** One value a minute; undefined: no data. */
export type Series = readonly (number | undefined)[];
/** Series by metric name. */
export type MetricData = Readonly<Record<string, Series>>;
/** An alarm's state. */
export type AlarmState = 'OK' | 'ALARM' | 'INSUFFICIENT_DATA';

/** What the model reads of an alarm's properties in a template. */
export interface AlarmProperties {
  readonly MetricName?: string;
  readonly Metrics?: readonly {
    readonly Id: string;
    readonly Expression?: string;
    readonly MetricStat?: { readonly Metric: { readonly MetricName: string } };
  }[];
  readonly Threshold: number;
  readonly ComparisonOperator: string;
  readonly EvaluationPeriods: number;
  readonly DatapointsToAlarm?: number;
  readonly TreatMissingData?: string;
}

/**
 * Evaluates an alarm each minute.
 *
 * @param alarm - its properties
 * @param data - the metrics, from minute 0 on
 * @param options - `from`: the minute in which the alarm was made; `state`: its state then; `lookBack`: by how much the
 *   evaluation range is longer than N
 * @returns its state at the end of each minute since it was made
 */
export function evaluateAlarm(
  alarm: AlarmProperties,
  data: MetricData,
  {
    from = 0,
    state = 'INSUFFICIENT_DATA',
    lookBack = 2,
  }: { from?: number; state?: AlarmState; lookBack?: number } = {},
): readonly AlarmState[] {
  const points = seriesOf(alarm, data);
  const breaching = points.map((value) => (value === undefined ? undefined : breaches(alarm, value)));
  const { EvaluationPeriods: n, DatapointsToAlarm: m = n, TreatMissingData: treatment = 'missing' } = alarm;
  const states: AlarmState[] = [];
  for (let minute = from; minute < points.length; minute++) {
    const range = Array.from({ length: n + lookBack }, (_, index) => breaching[minute - n - lookBack + 1 + index]);
    states.push(decide(range, { n, m, treatment, state: states.at(-1) ?? state }));
  }
  return states;
}

/**
 * One evaluation.
 *
 * @param range - the evaluation range, oldest first: whether each data point breaches; undefined: missing
 * @param rule - M, N, how missing data is treated, and the state so far
 */
export function decide(
  range: readonly (boolean | undefined)[],
  { n, m, treatment, state }: { n: number; m: number; treatment: string; state: AlarmState },
): AlarmState {
  // Real data points count first, the newest N of them, also older ones of the range; only what is lacking is filled.
  const real = range.filter((point) => point !== undefined).slice(-n);
  const bad = real.filter(Boolean).length;
  const missing = n - real.length;
  if (bad >= m) return 'ALARM';
  if (missing === 0 || treatment === 'notBreaching') return 'OK';
  if (treatment === 'breaching') return bad + missing >= m ? 'ALARM' : 'OK';
  if (real.length > bad) return 'OK';
  if (treatment === 'ignore') return state;
  return bad > 0 ? 'ALARM' : 'INSUFFICIENT_DATA';
}

function breaches({ ComparisonOperator, Threshold }: AlarmProperties, value: number): boolean {
  switch (ComparisonOperator) {
    case 'GreaterThanThreshold':
      return value > Threshold;
    case 'GreaterThanOrEqualToThreshold':
      return value >= Threshold;
    case 'LessThanThreshold':
      return value < Threshold;
    default:
      throw new Error(`the model has no ${ComparisonOperator}`);
  }
}

/** What the alarm looks at. */
function seriesOf({ MetricName, Metrics = [] }: AlarmProperties, data: MetricData): Series {
  const length = Math.max(...Object.values(data).map((series) => series.length));
  const metric = (name: string): Series => data[name] ?? Array.from({ length }, () => undefined);
  if (MetricName !== undefined) return metric(MetricName);
  const expression = Metrics.find(({ Expression }) => Expression !== undefined)?.Expression;
  if (expression === undefined) throw new Error('the alarm has neither a metric nor an expression');
  const names = Object.fromEntries(
    Metrics.flatMap(({ Id, MetricStat }) =>
      MetricStat === undefined ? [] : [[Id, metric(MetricStat.Metric.MetricName)]],
    ),
  ) as Record<string, Series>;
  return new Expression(expression, names, length).value();
}

/** Metric math: IF, FILL, DIFF, AND, comparisons and sums, over series. Where an operand is missing, so is the result. */
class Expression {
  readonly #tokens: string[];
  readonly #names: Readonly<Record<string, Series>>;
  readonly #length: number;

  constructor(text: string, names: Readonly<Record<string, Series>>, length: number) {
    this.#tokens = text.match(/[A-Za-z]\w*|\d+|>=|[(),+><]/g) ?? [];
    this.#names = names;
    this.#length = length;
  }

  value(): Series {
    const result = this.#and();
    if (this.#tokens.length > 0) throw new Error(`the model cannot read ${this.#tokens.join(' ')}`);
    return result;
  }

  #and(): Series {
    let left = this.#comparison();
    while (this.#take('AND')) left = zip(left, this.#comparison(), (a, b) => Number(a !== 0 && b !== 0));
    return left;
  }

  #comparison(): Series {
    const left = this.#sum();
    if (this.#take('>=')) return zip(left, this.#sum(), (a, b) => Number(a >= b));
    if (this.#take('>')) return zip(left, this.#sum(), (a, b) => Number(a > b));
    if (this.#take('<')) return zip(left, this.#sum(), (a, b) => Number(a < b));
    return left;
  }

  #sum(): Series {
    let left = this.#term();
    while (this.#take('+')) left = zip(left, this.#term(), (a, b) => a + b);
    return left;
  }

  #term(): Series {
    const token = this.#tokens.shift() ?? '';
    if (/^\d/.test(token)) return Array.from({ length: this.#length }, () => Number(token));
    const named = this.#names[token];
    if (named !== undefined) return named;
    this.#expect('(');
    const given: Series[] = [];
    do given.push(this.#and());
    while (this.#take(','));
    this.#expect(')');
    const [first = [], second = [], third = []] = given;
    switch (token) {
      case 'FILL':
        return first.map((value, index) => value ?? second[index]);
      case 'DIFF':
        return zip(first, [undefined, ...first.slice(0, -1)], (now, before) => now - before);
      case 'IF':
        return first.map((value, index) =>
          value === undefined ? undefined : value === 0 ? third[index] : second[index],
        );
      default:
        throw new Error(`the model has no ${token}`);
    }
  }

  #take(token: string): boolean {
    if (this.#tokens[0] !== token) return false;
    this.#tokens.shift();
    return true;
  }

  #expect(token: string): void {
    if (!this.#take(token)) throw new Error(`the model misses ${token} before ${this.#tokens.join(' ')}`);
  }
}

function zip(one: Series, other: Series, combine: (a: number, b: number) => number): Series {
  return one.map((a, index) => {
    const b = other[index];
    return a === undefined || b === undefined ? undefined : combine(a, b);
  });
}
