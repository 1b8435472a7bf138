namespace Diffusion.Gpu;

/// <summary>What the network is trained to return.</summary>
public enum Objective
{
    /// <summary>The noise ε.</summary>
    PredNoise,

    /// <summary>The image x0.</summary>
    PredX0,

    /// <summary>The velocity √ᾱ·ε − √(1 − ᾱ)·x0 (Salimans and Ho, 2022).</summary>
    PredV,
}
