using System.Diagnostics;

namespace Diffusion.Gpu.Benchmarks;

/// <summary>Times runners against each other in one process: every repetition runs all of them, in an order drawn anew.</summary>
internal static class Race
{
    /// <summary>Seconds of each runner, sorted.</summary>
    /// <param name="repeats">Repetitions after the first two, which warm up.</param>
    /// <param name="runners">Each does the whole work once and waits for its end.</param>
    public static double[][] Run(int repeats, params Action[] runners)
    {
        var order = new Random(1);
        var seconds = runners.Select(_ => new double[repeats]).ToArray();
        for (int repetition = -2; repetition < repeats; repetition++)
        {
            int[] turns = [.. Enumerable.Range(0, runners.Length)];
            order.Shuffle(turns);
            foreach (int runner in turns)
            {
                // Threads of the runner before may still spin.
                Thread.Sleep(4);
                long start = Stopwatch.GetTimestamp();
                runners[runner]();
                if (repetition >= 0)
                    seconds[runner][repetition] = Stopwatch.GetElapsedTime(start).TotalSeconds;
            }
        }
        foreach (double[] one in seconds)
            Array.Sort(one);
        return seconds;
    }

    /// <summary>The middle of sorted values.</summary>
    public static double Median(double[] sorted) => sorted[sorted.Length / 2];
}
