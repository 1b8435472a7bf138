namespace Diffusion.Gpu.Kernels;

/// <summary>Eigenvalues of a symmetric matrix of three diagonals by implicit QL steps with Wilkinson's shift.</summary>
internal static class TridiagonalEigenvalues
{
    /// <summary>Steps for one eigenvalue; two are usual.</summary>
    private const int MostSteps = 100;

    /// <summary>Overwrites the diagonal with the eigenvalues, unsorted.</summary>
    /// <param name="d">The diagonal.</param>
    /// <param name="e">Value i joins i and i + 1; overwritten.</param>
    /// <exception cref="ArithmeticException">An eigenvalue does not converge: only values that are not finite can do that.</exception>
    /// <remarks>Golub and Van Loan, Matrix Computations, algorithm 8.3.3, from the other end.</remarks>
    public static void Find(double[] d, double[] e)
    {
        int n = d.Length;
        for (int first = 0; first < n; first++)
        {
            for (int step = 0; ; step++)
            {
                int last = first;
                while (last < n - 1 && !IsNegligible(d, e, last))
                    last++;
                if (last == first)
                    break;
                if (step == MostSteps)
                    throw new ArithmeticException($"eigenvalue {first} of {n} did not converge in {MostSteps} steps");
                Step(d, e, first, last);
            }
        }
    }

    private static bool IsNegligible(double[] d, double[] e, int i)
    {
        const double Epsilon = 1.1102230246251565e-16;
        return Math.Abs(e[i]) <= Epsilon * (Math.Abs(d[i]) + Math.Abs(d[i + 1]));
    }

    /// <summary>One QL step on rows first..last: the bulge starts at the last row and is chased up to the first.</summary>
    private static void Step(double[] d, double[] e, int first, int last)
    {
        // Wilkinson: the eigenvalue of the first two rows that is nearer to the first.
        double delta = (d[first + 1] - d[first]) / (2 * e[first]);
        double shift = d[first] - (e[first] / (delta + Math.CopySign(Math.Sqrt((delta * delta) + 1), delta)));
        double g = d[last] - shift, sine = 1, cosine = 1, carried = 0;
        for (int i = last - 1; i >= first; i--)
        {
            double f = sine * e[i], b = cosine * e[i], r = Math.Sqrt((f * f) + (g * g));
            e[i + 1] = r;
            if (r == 0)
            {
                // The matrix falls apart here by itself.
                d[i + 1] -= carried;
                e[last] = 0;
                return;
            }

            sine = f / r;
            cosine = g / r;
            g = d[i + 1] - carried;
            double t = ((d[i] - g) * sine) + (2 * cosine * b);
            carried = sine * t;
            d[i + 1] = g + carried;
            g = (cosine * t) - b;
        }

        d[first] -= carried;
        e[first] = g;
        e[last] = 0;
    }
}
