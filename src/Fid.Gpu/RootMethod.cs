namespace Diffusion.Gpu.Fid;

/// <summary>How tr (Σ₁Σ₂)^½ is found.</summary>
public enum RootMethod
{
    /// <summary>Eigenvalues on the processor; on GPUs the ladder, in 64 bits where they are no less than an eighth as fast as 32.</summary>
    Chosen,

    /// <summary>Eigenvalues.</summary>
    Eigenvalues,

    /// <summary>The polar ladder, products alone, in 64 bits throughout.</summary>
    Float64Ladder,

    /// <summary>The polar ladder, products alone, in 32 bits up to the last step; in 64 on a device whose precision is less.</summary>
    Float32Ladder,
}
