namespace Diffusion.Gpu.Fid;

/// <summary>One step X ← (C·M² + B·M + A·I)·X with M = X·Xᵀ: a singular value σ of X becomes σ (A + Bσ² + Cσ⁴).</summary>
/// <remarks>
/// Best approximations to 1 of degree 5 (Remez, 40 digits), each over the interval that the row before leaves, as in Chen and Chow's and
/// the Polar Express scheme (arXiv 2505.16932), with two changes. The first row's interval begins at 0.05 instead of 0 ("cushion"): no
/// large singular value is ever mapped to a small one, whose rounding would be magnified. All rows but the last are scaled to a maximum
/// of 1 − 1/256 ("guard"): rounding cannot push a value above 1, where the steep start of the next row would carry it away.
/// </remarks>
internal readonly record struct LadderRow(double A, double B, double C)
{
    /// <summary>Values below 0.05 grow at least this much in a <see cref="Boost"/>.</summary>
    public const double BoostGain = 4.0130352;

    /// <summary>Where the boost stops magnifying: its interval's lower end.</summary>
    public const double Cushion = 0.05;

    /// <summary>[0.05, 1] to [0.20065, 0.99609]; smaller values grow fourfold.</summary>
    public static LadderRow Boost => new(4.0404373976104893, -10.980719909209347, 7.9363762615988573);

    /// <summary>What follows the boosts: to [0.638, 0.996], to [0.983, 0.996], to 1 ± 4.3e-7.</summary>
    public static IReadOnlyList<LadderRow> Landing { get; } =
    [
        new(3.458418568643117, -7.0897569468367978, 4.6274321281936812),
        new(2.3293362663095976, -2.3552956780710241, 1.0220531617614266),
        new(1.8915869837815844, -1.2833937126766837, 0.39180715517756054),
    ];

    /// <summary>The rows of one run: boosts, then the landing.</summary>
    public static IEnumerable<LadderRow> Run(int boosts) => Enumerable.Repeat(Boost, boosts).Concat(Landing);

    /// <summary>From here on, relative to the scale, that many boosts, a landing and the last step leave at least 1 − 2.8e-13.</summary>
    public static double Floor(int boosts) => Cushion / Math.Pow(BoostGain, boosts - 1);

    /// <summary>What the step makes of a singular value.</summary>
    public double Map(double sigma) => sigma * (A + (sigma * sigma * (B + (C * sigma * sigma))));
}
