using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Modules;

/// <summary>A module that maps one tensor to another.</summary>
internal interface ILayer
{
    Tensor Forward(Tape tape, Tensor x);
}
